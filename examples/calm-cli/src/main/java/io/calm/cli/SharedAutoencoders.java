package io.calm.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.stream.Stream;

import io.calm.checkpoint.ModelDirectory;
import io.calm.input.InvalidInputException;
import io.calm.training.Checkpoint;
import io.calm.training.Phase;
import io.calm.training.TrainingListener;

/**
 * Autoencoders that several trainings would train alike: the first one trains it, the
 * others wait for that, and go on from its last checkpoint as if it were their own.
 */
final class SharedAutoencoders {

	private final Path directory;

	private final Map<String, ReentrantLock> locks = new ConcurrentHashMap<>();

	/**
	 * Keeps them in a directory.
	 * @param directory made if need be
	 */
	SharedAutoencoders(Path directory) {
		this.directory = directory;
	}

	/**
	 * Trains a model, with an autoencoder that is there already if one is.
	 * @param settings of the autoencoder; equal ones share it
	 * @param model the directory of the model to be
	 * @param training is given a listener for its training
	 */
	void train(String settings, Path model, Consumer<TrainingListener> training) {
		Path shared = this.directory
			.resolve(UUID.nameUUIDFromBytes(settings.getBytes(StandardCharsets.UTF_8)).toString());
		Path own = Checkpoint.workOf(model).resolve(Phase.AUTOENCODER.toString());
		ReentrantLock lock = this.locks.computeIfAbsent(settings, (key) -> new ReentrantLock());
		lock.lock();
		try {
			if (ModelDirectory.exists(shared)) {
				if (!ModelDirectory.exists(own)) {
					copy(shared, own);
				}
				lock.unlock();
			}
			training.accept(new TrainingListener() {
				@Override
				public void onEnd(Phase phase, long step) {
					if (phase == Phase.AUTOENCODER && lock.isHeldByCurrentThread()) {
						// one that was interrupted ends too
						if (!Thread.currentThread().isInterrupted()) {
							copy(own, shared);
						}
						lock.unlock();
					}
				}
			});
		}
		finally {
			if (lock.isHeldByCurrentThread()) {
				lock.unlock();
			}
		}
	}

	private static void copy(Path from, Path to) {
		Path beside = to.resolveSibling(to.getFileName() + ".copy");
		try {
			Files.createDirectories(beside);
			try (Stream<Path> files = Files.list(from)) {
				for (Path file : files.filter(Files::isRegularFile).toList()) {
					// what the run was is said by each model itself
					if (!file.endsWith(TrainCommand.DESCRIPTION)) {
						Files.copy(file, beside.resolve(file.getFileName()), StandardCopyOption.REPLACE_EXISTING);
					}
				}
			}
			Files.move(beside, to, StandardCopyOption.ATOMIC_MOVE);
		}
		catch (IOException ex) {
			throw new InvalidInputException(to.toString(), "cannot be written (" + ex + ")",
					"check the free space and the permissions there, and start the same sweep again", ex);
		}
	}

}

package io.calm.mlflow;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.stream.Stream;

/**
 * Keeps a directory of models below a limit. A model that a process uses has its file
 * {@code .used-NAME} locked by that process, until the address that led to it has led to
 * another one, or the process ends; such a model stays.
 */
final class ModelCache {

	/** A directory that is being filled, and the file in it that is locked meanwhile. */
	static final String INCOMPLETE = ".incomplete-";

	static final String LOCK = ".lock";

	private static final String USED = ".used-";

	/** By lock file; what a second channel of a process closes loses its lock. */
	private static final Map<Path, FileChannel> LOCKED = new HashMap<>();

	/** The lock file of what an address has led to last, by cache and address. */
	private static final Map<String, Path> ADDRESSES = new HashMap<>();

	private final Path directory;

	private final long limit;

	/**
	 * A cache.
	 * @param directory of the models
	 * @param limit in bytes of all of them
	 */
	ModelCache(Path directory, long limit) {
		this.directory = directory.toAbsolutePath().normalize();
		this.limit = limit;
	}

	/** A new name of what is not whole, or not any more. */
	static String incomplete() {
		return INCOMPLETE + UUID.randomUUID();
	}

	/** Keeps a model from being deleted, whether it is there already or not. */
	void use(String model) throws IOException {
		synchronized (LOCKED) {
			lock(this.directory.resolve(USED + model));
		}
	}

	private static void lock(Path file) throws IOException {
		while (!LOCKED.containsKey(file)) {
			FileChannel channel;
			try {
				channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.READ,
						StandardOpenOption.WRITE);
			}
			catch (FileSystemException ex) {
				// where nothing can be written, nothing is deleted either
				return;
			}
			try {
				channel.lock(0, Long.MAX_VALUE, true);
			}
			catch (IOException | RuntimeException ex) {
				channel.close();
				throw ex;
			}
			if (Files.exists(file)) {
				LOCKED.put(file, channel);
			}
			else {
				// whoever has deleted the model has deleted the file, too
				channel.close();
			}
		}
	}

	/**
	 * A model is whole, and used: others go until the limit is kept, those first that
	 * were used the longest time ago.
	 * @param address that has led to it
	 */
	void used(String model, String address) throws IOException {
		synchronized (LOCKED) {
			Path file = this.directory.resolve(USED + model);
			lock(file);
			if (LOCKED.containsKey(file)) {
				Files.setLastModifiedTime(this.directory.resolve(model), FileTime.from(Instant.now()));
				deleteOthers(model);
			}
			Path before = ADDRESSES.put(this.directory + " " + address, file);
			if (before != null && !ADDRESSES.containsValue(before)) {
				release(before);
			}
		}
	}

	/** What could not be fetched needs no lock. */
	void unused(String model) throws IOException {
		synchronized (LOCKED) {
			Path file = this.directory.resolve(USED + model);
			if (!ADDRESSES.containsValue(file)) {
				release(file);
				if (!Files.exists(this.directory.resolve(model))) {
					Files.deleteIfExists(file);
				}
			}
		}
	}

	private static void release(Path file) throws IOException {
		FileChannel channel = LOCKED.remove(file);
		if (channel != null) {
			channel.close();
		}
	}

	private void deleteOthers(String model) throws IOException {
		if (this.limit == Long.MAX_VALUE) {
			return;
		}
		List<Path> models;
		try (Stream<Path> all = Files.list(this.directory)) {
			models = new ArrayList<>(
					all.filter((path) -> path.getFileName().toString().matches("[0-9a-f]{64}")).toList());
		}
		Map<Path, FileTime> times = new HashMap<>();
		Map<Path, Long> sizes = new HashMap<>();
		for (Path each : models) {
			times.put(each, Files.getLastModifiedTime(each));
			sizes.put(each, size(each));
		}
		models.sort(Comparator.comparing(times::get));
		long all = sizes.values().stream().mapToLong(Long::longValue).sum();
		for (Path each : models) {
			if (all > this.limit && !each.getFileName().toString().equals(model) && delete(each)) {
				all -= sizes.getOrDefault(each, 0L);
			}
		}
	}

	private static long size(Path directory) throws IOException {
		long size = 0;
		try (Stream<Path> walk = Files.walk(directory)) {
			for (Path file : walk.filter(Files::isRegularFile).toList()) {
				size += Files.size(file);
			}
		}
		return size;
	}

	/** False if it is in use. */
	private boolean delete(Path model) throws IOException {
		Path file = this.directory.resolve(USED + model.getFileName());
		if (LOCKED.containsKey(file)) {
			return false;
		}
		try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
				FileLock lock = channel.tryLock()) {
			if (lock == null) {
				return false;
			}
			// at once, so that nobody finds half of it
			Path gone = Files.move(model, this.directory.resolve(incomplete()), StandardCopyOption.ATOMIC_MOVE);
			Files.createFile(gone.resolve(LOCK));
			SpoolFile.deleteAll(gone);
			Files.delete(file);
			return true;
		}
		catch (OverlappingFileLockException ex) {
			return false;
		}
	}

}

package io.calm.checkpoint;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

import io.calm.input.InvalidInputException;

/**
 * Keeps a second writer, of this process or another one, out of a place where something
 * is being written for hours: a file beside it that only one can lock. The lock ends with
 * the process, however that ends.
 */
public final class OutputLock implements AutoCloseable {

	/**
	 * What this process has locked: were it opened a second time, closing that would end
	 * the lock.
	 */
	private static final Set<Path> HERE = ConcurrentHashMap.newKeySet();

	private final Path file;

	private final FileChannel channel;

	/** Parents that were not there before, the innermost first. */
	private final List<Path> made;

	private OutputLock(Path file, FileChannel channel, List<Path> made) {
		this.file = file;
		this.channel = channel;
		this.made = made;
	}

	/**
	 * Locks an output, so that no other process writes it.
	 * @param output what is going to be written; its parents are made
	 * @return the lock, until it is closed
	 * @throws InvalidInputException if somebody else is writing there
	 */
	public static OutputLock of(Path output) {
		Path target = output.toAbsolutePath().normalize();
		Path file = target.resolveSibling("." + target.getFileName() + ".lock");
		try {
			List<Path> made = new ArrayList<>();
			for (Path parent = file.getParent(); parent != null
					&& Files.notExists(parent); parent = parent.getParent()) {
				made.add(parent);
			}
			ModelDirectory.createDirectories(target.resolveSibling(""));
			if (!HERE.add(file)) {
				throw taken(output);
			}
			try {
				return new OutputLock(file, lock(output, file), made);
			}
			catch (IOException | RuntimeException ex) {
				HERE.remove(file);
				throw ex;
			}
		}
		catch (IOException ex) {
			throw OpenFile.unwritable(file, ex);
		}
	}

	private static FileChannel lock(Path output, Path file) throws IOException {
		while (true) {
			FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
			if (channel.tryLock() == null) {
				channel.close();
				throw taken(output);
			}
			if (Files.exists(file)) {
				return channel;
			}
			// the one before has deleted it after it was opened here
			channel.close();
		}
	}

	private static InvalidInputException taken(Path output) {
		return OpenFile.invalid(output, "is being written by another training",
				"wait for its end, or give another output directory");
	}

	/** Lets the next one in, and leaves nothing behind where nothing was written. */
	@Override
	public void close() {
		try {
			Files.deleteIfExists(this.file);
			this.channel.close();
			HERE.remove(this.file);
			for (Path parent : this.made) {
				Files.delete(parent);
			}
		}
		catch (DirectoryNotEmptyException | NoSuchFileException ex) {
			// it holds what was written, or somebody else has removed it
		}
		catch (IOException ex) {
			throw OpenFile.unwritable(this.file, ex);
		}
	}

}

package io.calm.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
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
import java.util.concurrent.ThreadLocalRandom;

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
			try {
				if (channel.tryLock() == null) {
					throw taken(output);
				}
				if (isStillAt(file, channel)) {
					return channel;
				}
				// the one before deleted it after it was opened here, and it may be
				// another's now
				channel.close();
			}
			catch (IOException | RuntimeException ex) {
				channel.close();
				throw ex;
			}
		}
	}

	/**
	 * Whether the file of that name is the one that is locked: it has the size that is
	 * given to it here. It is not opened to be read, for closing it would end the lock.
	 */
	private static boolean isStillAt(Path file, FileChannel channel) throws IOException {
		int size = ThreadLocalRandom.current().nextInt(1, 1 << 16);
		channel.truncate(0).write(ByteBuffer.allocate(1), size - 1);
		try {
			return Files.size(file) == size;
		}
		catch (NoSuchFileException ex) {
			return false;
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

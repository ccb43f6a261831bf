package io.calm.checkpoint;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.zip.Checksum;

import io.calm.input.InvalidInputException;

/**
 * A file open for reading by position. Whoever asks for bytes gets an error that names
 * the file when they are not there; nothing is allocated before that check.
 */
final class OpenFile implements AutoCloseable {

	/** The most that is mapped at once, so that the size of a file is no matter. */
	static final int WINDOW = 64 << 20;

	/**
	 * A mapping costs more than a copy below this size, and lives until it is collected.
	 */
	private static final int MAPPED_FROM = 256 << 10;

	private static final int LONGEST_SHOWN = 120;

	private final Path path;

	private final FileChannel channel;

	private final long size;

	private volatile boolean closed;

	private OpenFile(Path path, FileChannel channel, long size) {
		this.path = path;
		this.channel = channel;
		this.size = size;
	}

	static OpenFile open(Path path) {
		// a pipe or a device would block or never end
		if (!Files.isRegularFile(path)) {
			throw invalid(path, Files.exists(path) ? "is not a file" : "does not exist", "check the path");
		}
		try {
			FileChannel channel = FileChannel.open(path);
			return new OpenFile(path, channel, channel.size());
		}
		catch (IOException ex) {
			throw unreadable(path, ex);
		}
	}

	Path path() {
		return this.path;
	}

	long size() {
		return this.size;
	}

	boolean holds(long offset, long length) {
		return offset >= 0 && length >= 0 && offset <= this.size - length;
	}

	/**
	 * A part of the file.
	 * @param offset where it begins
	 * @param length its length, at most {@link #WINDOW} by convention of the callers
	 * @return a little-endian buffer of just these bytes
	 */
	ByteBuffer bytes(long offset, int length) {
		check(offset, length);
		if (length < MAPPED_FROM) {
			ByteBuffer bytes = ByteBuffer.allocate(length).order(ByteOrder.LITTLE_ENDIAN);
			read(offset, bytes);
			return bytes;
		}
		try {
			return this.channel.map(MapMode.READ_ONLY, offset, length).order(ByteOrder.LITTLE_ENDIAN);
		}
		catch (ClosedChannelException ex) {
			throw unreadable(this.path, interrupted(ex));
		}
		catch (IOException ex) {
			throw unreadable(this.path, ex);
		}
	}

	/**
	 * Copies a part of the file.
	 * @param offset where it begins
	 * @param target is filled up to its limit, and ready to be read
	 */
	void read(long offset, ByteBuffer target) {
		check(offset, target.remaining());
		try {
			for (long next = offset; target.hasRemaining();) {
				int length = this.channel.read(target, next);
				if (length < 0) {
					throw new IOException("it became shorter while it was read");
				}
				next += length;
			}
			target.flip();
		}
		catch (ClosedChannelException ex) {
			throw unreadable(this.path, interrupted(ex));
		}
		catch (IOException ex) {
			throw unreadable(this.path, ex);
		}
	}

	/**
	 * An interrupt closes the channel for all threads, not only for the one that it was
	 * meant for. Each says so.
	 */
	private static IOException interrupted(ClosedChannelException ex) {
		return (ex instanceof ClosedByInterruptException) ? ex
				: (IOException) new ClosedByInterruptException().initCause(ex);
	}

	private void check(long offset, int length) {
		if (!holds(offset, length)) {
			throw invalid("ends before the byte " + (offset + length) + " it should have", "download or copy it again");
		}
		if (this.closed) {
			throw new IllegalStateException(this.path + " has been closed");
		}
	}

	void digest(Checksum checksum, long offset, long length) {
		for (long done = 0; done < length; done += WINDOW) {
			checksum.update(bytes(offset + done, (int) Math.min(WINDOW, length - done)));
		}
	}

	InvalidInputException invalid(String problem, String action) {
		return invalid(this.path, problem, action);
	}

	static InvalidInputException invalid(Path path, String problem, String action) {
		return new InvalidInputException(path.toString(), problem, action);
	}

	static InvalidInputException unreadable(Path path, IOException cause) {
		return new InvalidInputException(path.toString(), "cannot be read: " + reason(cause),
				"check its permissions and the disk", cause);
	}

	static InvalidInputException unwritable(Path path, IOException cause) {
		return new InvalidInputException(path.toString(), "cannot be written: " + reason(cause),
				"check the free space and the permissions there, or choose another place", cause);
	}

	/** The message of many a subclass is but a path, or null. */
	private static String reason(IOException ex) {
		String message = String.valueOf(ex.getMessage());
		return (ex.getClass() == IOException.class) ? message : ex.getClass().getSimpleName() + " " + message;
	}

	/**
	 * A name that comes from a file, fit for a terminal: an attacker chooses it.
	 */
	static String shown(String name) {
		String clean = name.replaceAll("\\p{C}", "?");
		return "'" + ((clean.length() <= LONGEST_SHOWN) ? clean : clean.substring(0, LONGEST_SHOWN) + "…") + "'";
	}

	@Override
	public void close() {
		this.closed = true;
		try {
			this.channel.close();
		}
		catch (IOException ex) {
			throw unreadable(this.path, ex);
		}
	}

}

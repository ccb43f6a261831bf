package io.calm.text;

import java.io.Closeable;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.zip.GZIPInputStream;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * The lines of one UTF-8 file, plain or compressed, with their line ends. A byte order
 * mark is left out. Decodes strictly, and knows for every error which line it is in.
 */
final class Lines implements Closeable {

	private static final int FIRST_BUFFER = 1 << 17;

	private static final byte[] BYTE_ORDER_MARK = { (byte) 0xEF, (byte) 0xBB, (byte) 0xBF };

	private final Path file;

	private final CountedInput raw;

	private final InputStream in;

	private final int limit;

	private final CorpusObserver observer;

	private byte[] buffer = new byte[FIRST_BUFFER];

	private int start;

	private int end;

	private long number = 1;

	private boolean midLine;

	private long lineBytes;

	private boolean begun;

	private boolean taken;

	/**
	 * Opens a file.
	 * @param file the file; compressed if its name ends with .gz or .zst
	 * @param limit the longest line in bytes
	 * @param observer is told of lines, and of those that are not UTF-8
	 */
	Lines(Path file, int limit, CorpusObserver observer) {
		this.file = file;
		this.limit = limit;
		this.observer = observer;
		CountedInput raw = null;
		try {
			raw = new CountedInput(Files.newInputStream(file));
			this.in = plain(raw, file.toString());
			this.raw = raw;
		}
		catch (IOException ex) {
			close(raw);
			throw unreadable(ex);
		}
	}

	private static InputStream plain(InputStream raw, String name) throws IOException {
		if (name.endsWith(".zst")) {
			return new ZstdFrames(raw);
		}
		return name.endsWith(".gz") ? new GZIPInputStream(raw, FIRST_BUFFER) : raw;
	}

	/**
	 * The next line with its end, or the next part of one that is longer than the limit.
	 * @return the line, null at the end of the file
	 */
	@Nullable String next() {
		if (!this.begun) {
			this.begun = true;
			leaveOutByteOrderMark();
		}
		if (!this.midLine && this.taken) {
			this.number++;
		}
		int scanned = this.start;
		while (true) {
			for (int i = scanned; i < Math.min(this.end, this.start + this.limit); i++) {
				if (this.buffer[i] == '\n') {
					return take(i + 1 - this.start, false);
				}
			}
			if (this.end - this.start > this.limit) {
				return take(wholeCharacters(), true);
			}
			scanned = this.end - this.start;
			if (!fill()) {
				return (this.end > this.start) ? take(this.end - this.start, false) : null;
			}
		}
	}

	/** Whether the line goes on behind what {@link #next()} has returned. */
	boolean midLine() {
		return this.midLine;
	}

	/** How many bytes of the file have been read. */
	long bytes() {
		return this.raw.bytes;
	}

	/** An error in the line that {@link #next()} has returned. */
	InvalidInputException invalid(String problem, String action, @Nullable Throwable cause) {
		return new InvalidInputException(this.file + ", line " + this.number, problem, action, cause);
	}

	@Override
	public void close() {
		close(this.in);
	}

	private void leaveOutByteOrderMark() {
		while (this.end < BYTE_ORDER_MARK.length && fill()) {
			// at least a byte has come
		}
		if (this.end >= BYTE_ORDER_MARK.length
				&& Arrays.equals(this.buffer, 0, BYTE_ORDER_MARK.length, BYTE_ORDER_MARK, 0, BYTE_ORDER_MARK.length)) {
			this.start = BYTE_ORDER_MARK.length;
		}
	}

	private boolean fill() {
		if (this.start > 0) {
			System.arraycopy(this.buffer, this.start, this.buffer, 0, this.end - this.start);
			this.end -= this.start;
			this.start = 0;
		}
		if (this.end == this.buffer.length) {
			this.buffer = Arrays.copyOf(this.buffer, 2 * this.end);
		}
		try {
			int count = this.in.read(this.buffer, this.end, this.buffer.length - this.end);
			this.end += Math.max(count, 0);
			return count >= 0;
		}
		catch (IOException ex) {
			throw unreadable(ex);
		}
	}

	private String take(int length, boolean more) {
		ByteBuffer line = ByteBuffer.wrap(this.buffer, this.start, length);
		this.start += length;
		this.taken = true;
		this.midLine = more;
		this.lineBytes += length;
		if (!more) {
			this.observer.onLine(this.file, this.number, this.lineBytes);
			this.lineBytes = 0;
		}
		try {
			return StandardCharsets.UTF_8.newDecoder().decode(line).toString();
		}
		catch (CharacterCodingException ex) {
			this.observer.onFault(invalid("is not UTF-8", "convert the file to UTF-8, for example with iconv", ex));
			return StandardCharsets.UTF_8.decode(line.rewind().position(this.start - length)).toString();
		}
	}

	/** The limit, less the bytes of a character that begins before and ends after it. */
	private int wholeCharacters() {
		int length = this.limit;
		while (length > this.limit - 3 && (this.buffer[this.start + length] & 0xC0) == 0x80) {
			length--;
		}
		return length;
	}

	private InvalidInputException unreadable(IOException ex) {
		return invalid("cannot be read (" + ex + ")",
				"check the file; a .gz file must be a complete gzip file, a .zst file a complete Zstandard file", ex);
	}

	private static void close(@Nullable InputStream in) {
		try {
			if (in != null) {
				in.close();
			}
		}
		catch (IOException ex) {
			// it was read only: nothing can be lost
		}
	}

	/** Counts what is read. */
	private static final class CountedInput extends FilterInputStream {

		private long bytes;

		CountedInput(InputStream in) {
			super(in);
		}

		@Override
		public int read() throws IOException {
			int read = super.read();
			this.bytes += (read >= 0) ? 1 : 0;
			return read;
		}

		@Override
		public int read(byte[] target, int offset, int length) throws IOException {
			int count = super.read(target, offset, length);
			this.bytes += Math.max(count, 0);
			return count;
		}

	}

}

package io.calm.text;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * Documents of token ids in a file, mapped into memory. Numbers are little-endian:
 * <ol>
 * <li>a header of 96 bytes: {@code CALMTOK1}; an int, the bytes of an id, 2 or 4; an int,
 * 1 if documents have a part that is given, else 0; as longs, the number of documents and
 * of ids; the SHA-256 that names the data; the {@link ContentDigest} of the file, which
 * is that of these 64 bytes and of all behind the header;</li>
 * <li>the ids, of two bytes without a sign or of four, and up to 7 zeros, so that what
 * follows begins at a multiple of 8;</li>
 * <li>longs, where each document begins, counted in ids, and where the last one
 * ends;</li>
 * <li>if documents have a part that is given, an int for each: how many ids it has.</li>
 * </ol>
 *
 * @param segments the ids, in parts of {@link #SEGMENT} ids
 * @param width the bytes of an id
 * @param offsets where the documents begin and the last one ends
 * @param given how many ids at the beginning of each document are given; empty if none
 * @param digest names the data
 */
record TokenFile(List<ByteBuffer> segments, int width, long[] offsets, int[] given, String digest) {

	/** Ids of one mapped part of the file: 1 GiB at most, as a part must stay below 2. */
	static final int SEGMENT = 1 << 28;

	static final int HEADER = 96;

	/** Of the header, what the digest in it covers. */
	static final int COVERED = 64;

	static final byte[] MAGIC = { 'C', 'A', 'L', 'M', 'T', 'O', 'K', '1' };

	/**
	 * Maps a file after checking all of it.
	 * @param channel of the file; may be closed afterwards
	 * @return its content
	 * @throws BadTokensException if it is not such a file, is cut short, or has changed
	 * since it was written
	 */
	static TokenFile open(FileChannel channel) throws IOException {
		ByteBuffer header = buffer(HEADER);
		read(channel, header, 0);
		byte[] magic = new byte[MAGIC.length];
		header.get(magic);
		int width = header.getInt();
		int anyGiven = header.getInt();
		long documents = header.getLong();
		long ids = header.getLong();
		// bounds before sums, so that none overflows
		if (!Arrays.equals(magic, MAGIC) || (width != 2 && width != 4) || (anyGiven != 0 && anyGiven != 1)
				|| documents < 1 || documents > Integer.MAX_VALUE - 8 || ids < 1 || ids > channel.size()) {
			throw new BadTokensException("it has no header of tokens");
		}
		long offsetsAt = offsetsAt(ids, width);
		long size = offsetsAt + (documents + 1) * Long.BYTES + anyGiven * documents * Integer.BYTES;
		if (channel.size() != size) {
			throw new BadTokensException("it has " + channel.size() + " bytes in place of " + size);
		}
		byte[] data = new byte[32];
		header.get(data);
		byte[] content = new byte[32];
		header.get(content);
		if (!Arrays.equals(content, contentDigest(channel, header.array()))) {
			throw new BadTokensException("its content has another digest");
		}
		long[] offsets = longs(channel, offsetsAt, (int) documents + 1);
		int[] given = (anyGiven == 1) ? ints(channel, offsetsAt + (documents + 1) * Long.BYTES, (int) documents)
				: new int[0];
		checkBounds(offsets, given, ids);
		return new TokenFile(map(channel, ids, width), width, offsets, given, HexFormat.of().formatHex(data));
	}

	/** A file may be made on purpose, with a digest that is right. */
	private static void checkBounds(long[] offsets, int[] given, long ids) throws IOException {
		boolean good = offsets[0] == 0 && offsets[offsets.length - 1] == ids;
		for (int i = 0; good && i < offsets.length - 1; i++) {
			good = offsets[i] < offsets[i + 1]
					&& (given.length == 0 || given[i] >= 0 && given[i] <= offsets[i + 1] - offsets[i]);
		}
		if (!good) {
			throw new BadTokensException("its documents overlap");
		}
	}

	static byte[] contentDigest(FileChannel channel, byte[] header) throws IOException {
		return ContentDigest.of(Arrays.copyOf(header, COVERED), channel, HEADER);
	}

	/** Where the ids end, rounded up to a multiple of 8. */
	static long offsetsAt(long ids, int width) {
		return HEADER + (ids * width + 7) / 8 * 8;
	}

	static ByteBuffer buffer(int size) {
		return ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN);
	}

	static List<ByteBuffer> map(FileChannel channel, long ids, int width) throws IOException {
		List<ByteBuffer> segments = new ArrayList<>();
		for (long from = 0; from < ids; from += SEGMENT) {
			long length = Math.min(SEGMENT, ids - from);
			segments.add(channel.map(FileChannel.MapMode.READ_ONLY, HEADER + from * width, length * width)
				.order(ByteOrder.LITTLE_ENDIAN));
		}
		return List.copyOf(segments);
	}

	private static long[] longs(FileChannel channel, long at, int count) throws IOException {
		long[] values = new long[count];
		ByteBuffer buffer = buffer(1 << 16);
		for (int done = 0; done < count;) {
			buffer.clear().limit((int) Math.min(buffer.capacity(), (long) (count - done) * Long.BYTES));
			read(channel, buffer, at + (long) done * Long.BYTES);
			while (buffer.hasRemaining()) {
				values[done++] = buffer.getLong();
			}
		}
		return values;
	}

	private static int[] ints(FileChannel channel, long at, int count) throws IOException {
		int[] values = new int[count];
		ByteBuffer buffer = buffer(1 << 16);
		for (int done = 0; done < count;) {
			buffer.clear().limit((int) Math.min(buffer.capacity(), (long) (count - done) * Integer.BYTES));
			read(channel, buffer, at + (long) done * Integer.BYTES);
			while (buffer.hasRemaining()) {
				values[done++] = buffer.getInt();
			}
		}
		return values;
	}

	private static void read(FileChannel channel, ByteBuffer buffer, long at) throws IOException {
		while (buffer.hasRemaining()) {
			if (channel.read(buffer, at + buffer.position()) < 0) {
				throw new BadTokensException("it is cut short");
			}
		}
		buffer.flip();
	}

	/** The file is not what was written. */
	static final class BadTokensException extends IOException {

		private static final long serialVersionUID = 1L;

		BadTokensException(String problem) {
			super(problem);
		}

	}

}

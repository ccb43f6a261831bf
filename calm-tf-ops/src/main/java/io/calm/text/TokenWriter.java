package io.calm.text;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;

import io.calm.input.InvalidInputException;

/** Writes a {@link TokenFile}, document after document. */
final class TokenWriter {

	/** Above it an id needs more than two bytes. */
	private static final int MOST_SHORT_IDS = 1 << 16;

	private final FileChannel channel;

	private final int vocabularySize;

	private final int width;

	private long[] offsets = new long[1024];

	private int documents;

	private int[] given = new int[1024];

	private boolean anyGiven;

	private long ids;

	/** Over the ids as ints, then offsets, then what is given. */
	private final MessageDigest data = ContentDigest.sha256();

	private final ByteBuffer asInts = TokenFile.buffer(1 << 20);

	private final ByteBuffer buffer = TokenFile.buffer(1 << 20);

	/** What is written into a file. */
	interface Content {

		void write(TokenWriter writer) throws IOException;

	}

	/**
	 * Begins a file.
	 * @param channel of an empty file; stays the caller's
	 * @param vocabularySize the largest id plus one
	 */
	TokenWriter(FileChannel channel, int vocabularySize) throws IOException {
		this.channel = channel;
		this.vocabularySize = vocabularySize;
		this.width = (vocabularySize <= MOST_SHORT_IDS) ? Short.BYTES : Integer.BYTES;
		channel.position(TokenFile.HEADER);
	}

	long ids() {
		return this.ids;
	}

	void write(int... ids) throws IOException {
		for (int id : ids) {
			if (id < 0 || id >= this.vocabularySize) {
				throw new IllegalArgumentException("token id " + id + " is not in 0.." + (this.vocabularySize - 1));
			}
			if (!this.asInts.hasRemaining()) {
				drain();
			}
			this.asInts.putInt(id);
		}
		this.ids += ids.length;
	}

	/** Of the document that is being written. */
	void given(int ids) {
		this.given[this.documents] = ids;
		this.anyGiven = true;
	}

	void endDocument() {
		this.documents++;
		if (this.documents == this.given.length) {
			this.given = Arrays.copyOf(this.given, 2 * this.documents);
		}
		if (this.documents == this.offsets.length) {
			this.offsets = Arrays.copyOf(this.offsets, 2 * this.documents);
		}
		this.offsets[this.documents] = this.ids;
	}

	/**
	 * Completes the file.
	 * @return its content, mapped
	 * @throws InvalidInputException if there is no token in it
	 */
	TokenFile finish() throws IOException {
		if (this.documents == 0) {
			throw new InvalidInputException("corpus", "there are no tokens in it", "give documents that are not empty");
		}
		drain();
		long[] offsets = Arrays.copyOf(this.offsets, this.documents + 1);
		// plain text has the name that it always had
		int[] given = this.anyGiven ? Arrays.copyOf(this.given, this.documents) : new int[0];
		this.buffer.put(new byte[(int) (TokenFile.offsetsAt(this.ids, this.width) - this.channel.position())]);
		flush();
		for (long offset : offsets) {
			this.buffer.putLong(offset);
			flushIfFull();
		}
		this.data.update(this.buffer.duplicate().flip());
		flush();
		for (int each : given) {
			this.buffer.putInt(each);
			flushIfFull();
		}
		this.data.update(this.buffer.duplicate().flip());
		flush();
		byte[] digest = this.data.digest();
		writeHeader(digest);
		return new TokenFile(TokenFile.map(this.channel, this.ids, this.width), this.width, offsets, given,
				HexFormat.of().formatHex(digest));
	}

	private void writeHeader(byte[] digest) throws IOException {
		ByteBuffer header = TokenFile.buffer(TokenFile.HEADER)
			.put(TokenFile.MAGIC)
			.putInt(this.width)
			.putInt(this.anyGiven ? 1 : 0)
			.putLong(this.documents)
			.putLong(this.ids)
			.put(digest);
		header.put(TokenFile.contentDigest(this.channel, header.array()));
		this.channel.position(0);
		write(header.flip());
	}

	private void flushIfFull() throws IOException {
		if (!this.buffer.hasRemaining()) {
			this.data.update(this.buffer.duplicate().flip());
			flush();
		}
	}

	/** Ids to the file, in their width. */
	private void drain() throws IOException {
		this.asInts.flip();
		this.data.update(this.asInts.duplicate());
		if (this.width == Integer.BYTES) {
			write(this.asInts);
		}
		else {
			while (this.asInts.hasRemaining()) {
				this.buffer.putShort((short) this.asInts.getInt());
			}
			flush();
		}
		this.asInts.clear();
	}

	private void flush() throws IOException {
		write(this.buffer.flip());
		this.buffer.clear();
	}

	private void write(ByteBuffer written) throws IOException {
		while (written.hasRemaining()) {
			this.channel.write(written);
		}
	}

}

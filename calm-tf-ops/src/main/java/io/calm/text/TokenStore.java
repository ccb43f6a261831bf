package io.calm.text;

import io.calm.input.InvalidInputException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.IntBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Documents of token ids, read by position. They lie in a temporary file, so that a
 * corpus may be larger than memory; the file is gone when the store is closed or the
 * process ends, however it ends. Reads may come from several threads at once.
 */
public final class TokenStore implements AutoCloseable {

	/** Ids of one mapped part of the file: 1 GiB, as a part must stay below 2 GiB. */
	private static final int SEGMENT = 1 << 28;

	/** Characters tokenized at once, in parallel. */
	private static final int BATCH = 1 << 22;

	/** The document i has the ids from offsets[i] to offsets[i + 1] - 1. */
	private final long[] offsets;

	/** How many ids at the beginning of document i are given. */
	private final int[] given;

	private final String digest;

	/**
	 * Parts of the mapped file. Mapped and not read through the channel because a channel
	 * is closed for all when one of its readers is interrupted.
	 */
	private volatile List<IntBuffer> segments;

	private TokenStore(Writer writer) throws IOException {
		this.offsets = Arrays.copyOf(writer.offsets, writer.documents + 1);
		this.given = Arrays.copyOf(writer.given, writer.documents);
		this.digest = writer.finish();
		List<IntBuffer> segments = new ArrayList<>();
		for (long from = 0; from < tokens(); from += SEGMENT) {
			long length = Math.min(SEGMENT, tokens() - from);
			segments.add(writer.channel.map(FileChannel.MapMode.READ_ONLY, from * Integer.BYTES, length * Integer.BYTES)
				.order(ByteOrder.LITTLE_ENDIAN)
				.asIntBuffer());
		}
		this.segments = List.copyOf(segments);
	}

	/**
	 * The documents of a corpus, each as BOS, its tokens, EOS. A prompt and its answer
	 * are divided into tokens as generation divides them. Reads the corpus once, on all
	 * cores.
	 * @param corpus the text
	 * @param tokenizer makes tokens of it; not closed by the store
	 * @return the store, to be closed by the caller
	 * @throws InvalidInputException if the corpus cannot be read or has no text
	 */
	public static TokenStore of(Corpus corpus, Tokenizer tokenizer) {
		try (Writer writer = new Writer(); Stream<TextPiece> pieces = corpus.pieces()) {
			Iterator<TextPiece> rest = pieces.iterator();
			boolean inDocument = false;
			while (rest.hasNext()) {
				List<TextPiece> batch = batch(rest);
				// encode is the slow part, and every piece is encoded for itself
				List<Encoded> ids = batch.parallelStream().map((piece) -> Encoded.of(piece, tokenizer)).toList();
				for (int i = 0; i < ids.size(); i++) {
					int[] prompt = ids.get(i).prompt();
					int[] text = ids.get(i).text();
					if (!inDocument && (prompt != null || text.length > 0)) {
						writer.write(tokenizer.bosId());
						inDocument = true;
					}
					if (prompt != null) {
						writer.write(prompt);
						writer.given(prompt.length + 1);
					}
					writer.write(text);
					if (inDocument && batch.get(i).endsDocument()) {
						writer.write(tokenizer.eosId());
						writer.endDocument();
						inDocument = false;
					}
				}
			}
			return store(writer);
		}
		catch (IOException ex) {
			throw temporaryFileFailed(ex);
		}
	}

	/** The ids of a piece; those of a prompt without the BOS before it. */
	private record Encoded(int @Nullable [] prompt, int[] text) {

		static Encoded of(TextPiece piece, Tokenizer tokenizer) {
			if (piece.prompt() == null) {
				return new Encoded(null, tokenizer.encode(piece.text()));
			}
			PromptTokens prompt = PromptTokens.of(piece.prompt(), tokenizer);
			return new Encoded(prompt.ids(), tokenizer.encode(prompt.space() + piece.text()));
		}

	}

	/**
	 * Documents that are token ids already, for example of a synthetic source. They are
	 * taken as they are, without BOS and EOS; empty ones are skipped.
	 * @param documents the ids of each, none negative
	 * @return the store, to be closed by the caller
	 * @throws InvalidInputException if there is no token in them
	 * @throws IllegalArgumentException if an id is negative
	 */
	public static TokenStore of(int[]... documents) {
		try (Writer writer = new Writer()) {
			for (int[] document : documents) {
				if (Arrays.stream(document).anyMatch((id) -> id < 0)) {
					throw new IllegalArgumentException("a token id is negative");
				}
				if (document.length > 0) {
					writer.write(document);
					writer.endDocument();
				}
			}
			return store(writer);
		}
		catch (IOException ex) {
			throw temporaryFileFailed(ex);
		}
	}

	/**
	 * The number of documents, at least one.
	 * @return their number
	 */
	public int documents() {
		return this.offsets.length - 1;
	}

	/**
	 * The number of ids in all documents, BOS and EOS included.
	 * @return their number, at least one
	 */
	public long tokens() {
		return this.offsets[documents()];
	}

	/**
	 * The number of ids of a document, at least one.
	 * @param document its index, from 0
	 * @return its length in tokens
	 */
	public long length(int document) {
		Objects.checkIndex(document, documents());
		return this.offsets[document + 1] - this.offsets[document];
	}

	/**
	 * The number of ids at the beginning of a document that are given and not learned: a
	 * prompt with the BOS before it.
	 * @param document its index, from 0
	 * @return their number; 0 for plain text, of which everything is learned
	 */
	public int given(int document) {
		return this.given[document];
	}

	/**
	 * Reads ids of one document.
	 * @param document its index, from 0
	 * @param from the position of the first id within the document
	 * @param target where to put them
	 * @param offset the first place in the target
	 * @param length how many
	 * @throws IndexOutOfBoundsException if they are not all in the document or do not fit
	 * into the target
	 * @throws IllegalStateException if the store is closed
	 */
	public void read(int document, long from, int[] target, int offset, int length) {
		Objects.checkFromIndexSize(from, length, length(document));
		Objects.checkFromIndexSize(offset, length, target.length);
		List<IntBuffer> open = this.segments;
		if (open.isEmpty()) {
			throw new IllegalStateException("the store is closed");
		}
		long position = this.offsets[document] + from;
		int done = 0;
		while (done < length) {
			int within = (int) (position % SEGMENT);
			int count = Math.min(length - done, SEGMENT - within);
			open.get((int) (position / SEGMENT)).get(within, target, offset + done, count);
			position += count;
			done += count;
		}
	}

	/**
	 * Names the data: the same for the same ids in the same documents with the same ones
	 * given, on every machine.
	 * @return SHA-256 over ids, boundaries and what is given, 64 hexadecimal digits
	 */
	public String digest() {
		return this.digest;
	}

	/**
	 * Gives the file back. Reads that have begun may end.
	 */
	@Override
	public void close() {
		this.segments = List.of();
	}

	private static TokenStore store(Writer writer) throws IOException {
		if (writer.documents == 0) {
			throw new InvalidInputException("corpus", "there are no tokens in it", "give documents that are not empty");
		}
		return new TokenStore(writer);
	}

	private static InvalidInputException temporaryFileFailed(IOException ex) {
		return new InvalidInputException(System.getProperty("java.io.tmpdir"),
				"the temporary file of tokens cannot be written (" + ex.getMessage() + ")",
				"free space there, or name another directory with -Djava.io.tmpdir=DIR", ex);
	}

	private static List<TextPiece> batch(Iterator<TextPiece> pieces) {
		List<TextPiece> batch = new ArrayList<>();
		long characters = 0;
		while (pieces.hasNext() && characters < BATCH) {
			TextPiece piece = pieces.next();
			batch.add(piece);
			characters += piece.whole().length();
		}
		return batch;
	}

	private static final class Writer implements AutoCloseable {

		final FileChannel channel;

		long[] offsets = new long[1024];

		int documents;

		int[] given = new int[1024];

		private boolean anyGiven;

		private final MessageDigest sha256;

		private final ByteBuffer buffer = ByteBuffer.allocate(1 << 20).order(ByteOrder.LITTLE_ENDIAN);

		private long tokens;

		Writer() throws IOException {
			try {
				this.sha256 = MessageDigest.getInstance("SHA-256");
			}
			catch (NoSuchAlgorithmException ex) {
				throw new IllegalStateException(ex);
			}
			Path file = Files.createTempFile("calm-tokens", ".bin");
			// on Unix the name is gone at once: no crash leaves private text behind
			this.channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE,
					StandardOpenOption.DELETE_ON_CLOSE);
		}

		void write(int... ids) throws IOException {
			for (int id : ids) {
				if (!this.buffer.hasRemaining()) {
					drain();
				}
				this.buffer.putInt(id);
			}
			this.tokens += ids.length;
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
			this.offsets[this.documents] = this.tokens;
		}

		String finish() throws IOException {
			drain();
			for (int i = 0; i <= this.documents; i++) {
				this.sha256.update(this.buffer.putLong(this.offsets[i]).flip());
				this.buffer.clear();
			}
			// plain text has the name that it always had
			for (int i = 0; this.anyGiven && i < this.documents; i++) {
				this.sha256.update(this.buffer.putInt(this.given[i]).flip());
				this.buffer.clear();
			}
			return HexFormat.of().formatHex(this.sha256.digest());
		}

		private void drain() throws IOException {
			this.buffer.flip();
			this.sha256.update(this.buffer.duplicate());
			while (this.buffer.hasRemaining()) {
				this.channel.write(this.buffer);
			}
			this.buffer.clear();
		}

		@Override
		public void close() throws IOException {
			this.channel.close();
		}

	}

}

package io.calm.text;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * Documents of token ids, read by position. They lie in a file, so that a corpus may be
 * larger than memory: in one that a {@link TokenCache} keeps, or in a temporary one,
 * which is gone when the store is closed or the process ends, however it ends. Reads may
 * come from several threads at once.
 */
public final class TokenStore implements AutoCloseable {

	private final TokenFile file;

	/**
	 * Parts of the mapped file. Mapped and not read through the channel because a channel
	 * is closed for all when one of its readers is interrupted.
	 */
	private volatile List<ByteBuffer> segments;

	TokenStore(TokenFile file) {
		this.file = file;
		this.segments = file.segments();
	}

	/**
	 * The documents of a corpus, each as BOS, its tokens, EOS. A prompt and its answer
	 * are divided into tokens as generation divides them. Reads the corpus once, on all
	 * cores, into a temporary file.
	 * @param corpus the text
	 * @param tokenizer makes tokens of it; not closed by the store
	 * @return the store, to be closed by the caller
	 * @throws InvalidInputException if the corpus cannot be read or has no text
	 * @see TokenCache
	 */
	public static TokenStore of(Corpus corpus, Tokenizer tokenizer) {
		return of(corpus, tokenizer, (bytes, ofBytes, tokens) -> {
		});
	}

	/**
	 * The same, for a corpus that takes a while.
	 * @param corpus the text
	 * @param tokenizer makes tokens of it; not closed by the store
	 * @param progress is told how far the making is
	 * @return the store, to be closed by the caller
	 * @throws InvalidInputException if the corpus cannot be read or has no text
	 */
	public static TokenStore of(Corpus corpus, Tokenizer tokenizer, TokenProgress progress) {
		return temporary(tokenizer.vocabularySize(), (writer) -> Tokenizing.write(corpus, tokenizer, writer, progress));
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
		int largest = Arrays.stream(documents).flatMapToInt(Arrays::stream).max().orElse(0);
		return temporary(Math.addExact(Math.max(largest, 0), 1), (writer) -> {
			for (int[] document : documents) {
				if (document.length > 0) {
					writer.write(document);
					writer.endDocument();
				}
			}
		});
	}

	private static TokenStore temporary(int vocabularySize, TokenWriter.Content content) {
		@Nullable Path file = null;
		try {
			file = Files.createTempFile("calm-tokens", ".bin");
			// on Unix the name is gone at once: no crash leaves private text behind
			try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE,
					StandardOpenOption.DELETE_ON_CLOSE)) {
				TokenWriter writer = new TokenWriter(channel, vocabularySize);
				content.write(writer);
				return new TokenStore(writer.finish());
			}
		}
		catch (IOException ex) {
			throw new InvalidInputException(System.getProperty("java.io.tmpdir"),
					"the temporary file of tokens cannot be written (" + ex.getMessage() + ")",
					"free space there, or name another directory with -Djava.io.tmpdir=DIR", ex);
		}
	}

	/**
	 * The number of documents, at least one.
	 * @return their number
	 */
	public int documents() {
		return this.file.offsets().length - 1;
	}

	/**
	 * The number of ids in all documents, BOS and EOS included.
	 * @return their number, at least one
	 */
	public long tokens() {
		return this.file.offsets()[documents()];
	}

	/**
	 * The number of ids of a document, at least one.
	 * @param document its index, from 0
	 * @return its length in tokens
	 */
	public long length(int document) {
		Objects.checkIndex(document, documents());
		return this.file.offsets()[document + 1] - this.file.offsets()[document];
	}

	/**
	 * The number of ids at the beginning of a document that are given and not learned: a
	 * prompt with the BOS before it.
	 * @param document its index, from 0
	 * @return their number; 0 for plain text, of which everything is learned
	 */
	public int given(int document) {
		Objects.checkIndex(document, documents());
		int[] given = this.file.given();
		return (given.length > 0) ? given[document] : 0;
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
		List<ByteBuffer> open = this.segments;
		if (open.isEmpty()) {
			throw new IllegalStateException("the store is closed");
		}
		long position = this.file.offsets()[document] + from;
		int done = 0;
		while (done < length) {
			int within = (int) (position % TokenFile.SEGMENT);
			int count = Math.min(length - done, TokenFile.SEGMENT - within);
			copy(open.get((int) (position / TokenFile.SEGMENT)), within, target, offset + done, count);
			position += count;
			done += count;
		}
	}

	private void copy(ByteBuffer segment, int from, int[] target, int offset, int count) {
		if (this.file.width() == Integer.BYTES) {
			segment.asIntBuffer().get(from, target, offset, count);
			return;
		}
		for (int i = 0; i < count; i++) {
			target[offset + i] = Short.toUnsignedInt(segment.getShort((from + i) * Short.BYTES));
		}
	}

	/**
	 * A name of the data, the same for the same ids in the same documents with the same
	 * ones given, on every machine.
	 * @return SHA-256 over ids, boundaries and what is given, 64 hexadecimal digits
	 */
	public String digest() {
		return this.file.digest();
	}

	/**
	 * Gives the file back. Reads that have begun may end.
	 */
	@Override
	public void close() {
		this.segments = List.of();
	}

}

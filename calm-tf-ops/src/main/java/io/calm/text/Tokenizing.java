package io.calm.text;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * Makes tokens of a corpus on all cores, while one thread reads ahead and writes in
 * order. Every piece is encoded for itself, so how many cores there are changes nothing.
 */
final class Tokenizing {

	/**
	 * Characters for one core at a time: many short documents, or a piece of a long one.
	 */
	private static final int BATCH = 1 << 17;

	private static final int CORES = Runtime.getRuntime().availableProcessors();

	private final Tokenizer tokenizer;

	private final TokenWriter writer;

	private boolean inDocument;

	private Tokenizing(Tokenizer tokenizer, TokenWriter writer) {
		this.tokenizer = tokenizer;
		this.writer = writer;
	}

	/**
	 * Writes the documents of a corpus, each as BOS, its tokens, EOS.
	 * @throws InvalidInputException if the corpus cannot be read or has no text
	 * @throws ClosedByInterruptException if the thread is interrupted
	 */
	static void write(Corpus corpus, Tokenizer tokenizer, TokenWriter writer, TokenProgress progress)
			throws IOException {
		long ofBytes = corpus.bytes();
		ExecutorService cores = Executors.newFixedThreadPool(CORES, (task) -> {
			Thread thread = new Thread(task, "calm-tokenizer");
			thread.setDaemon(true);
			return thread;
		});
		try (Corpus.Reading rest = corpus.read()) {
			Tokenizing tokenizing = new Tokenizing(tokenizer, writer);
			Deque<Batch> encoding = new ArrayDeque<>();
			while (!encoding.isEmpty() || rest.hasNext()) {
				while (encoding.size() < 4 * CORES && rest.hasNext()) {
					List<TextPiece> batch = batch(rest);
					encoding.add(new Batch(cores.submit(() -> batch.stream().map(tokenizing::encode).toList()),
							rest.bytes()));
				}
				Batch next = encoding.remove();
				for (Encoded piece : result(next.pieces())) {
					tokenizing.write(piece);
				}
				progress.onTokens(next.bytes(), ofBytes, writer.ids());
			}
			progress.onTokens(ofBytes, ofBytes, writer.ids());
		}
		finally {
			cores.shutdownNow();
		}
	}

	/** Pieces that are being encoded, and how far the files were read when they began. */
	private record Batch(Future<List<Encoded>> pieces, long bytes) {
	}

	private static <T> T result(Future<T> future) throws IOException {
		try {
			return future.get();
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
			throw new ClosedByInterruptException();
		}
		catch (ExecutionException ex) {
			if (ex.getCause() instanceof Error error) {
				throw error;
			}
			throw (RuntimeException) ex.getCause();
		}
	}

	private static List<TextPiece> batch(Corpus.Reading pieces) {
		List<TextPiece> batch = new ArrayList<>();
		long characters = 0;
		while (characters < BATCH && pieces.hasNext()) {
			TextPiece piece = pieces.next();
			batch.add(piece);
			characters += piece.whole().length();
		}
		return batch;
	}

	/** The ids of a piece; those of a prompt without the BOS before it. */
	private record Encoded(int @Nullable [] prompt, int[] text, boolean endsDocument) {
	}

	private Encoded encode(TextPiece piece) {
		if (piece.prompt() == null) {
			return new Encoded(null, this.tokenizer.encode(piece.text()), piece.endsDocument());
		}
		PromptTokens prompt = PromptTokens.of(piece.prompt(), this.tokenizer);
		return new Encoded(prompt.ids(), this.tokenizer.encode(prompt.space() + piece.text()), piece.endsDocument());
	}

	private void write(Encoded piece) throws IOException {
		int[] prompt = piece.prompt();
		if (!this.inDocument && (prompt != null || piece.text().length > 0)) {
			this.writer.write(this.tokenizer.bosId());
			this.inDocument = true;
		}
		if (prompt != null) {
			this.writer.write(prompt);
			this.writer.given(prompt.length + 1);
		}
		this.writer.write(piece.text());
		if (this.inDocument && piece.endsDocument()) {
			this.writer.write(this.tokenizer.eosId());
			this.writer.endDocument();
			this.inDocument = false;
		}
	}

}

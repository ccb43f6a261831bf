package io.calm.text;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;

import io.calm.input.InvalidInputException;

/**
 * What a corpus is made of, found out in one pass that goes on where a training would
 * stop: at bytes that are not UTF-8, and at lines and files that are broken. Takes 16
 * bytes of memory per document.
 *
 * @param files their number
 * @param bytes of the files, as they are stored
 * @param lengths of the documents in characters, in their order; a character beyond the
 * first 65536 of Unicode counts twice
 * @param duplicates how many documents are the same as an earlier one
 * @param longestLines of {@code .txt} and {@code .jsonl} files, the longest first, five
 * at most
 * @param faultCount how many things cannot be read
 * @param faults the first 20 of them, each in one line: where it is, and what is wrong.
 * They show no text
 */
public record CorpusSurvey(int files, long bytes, long[] lengths, long duplicates, List<Line> longestLines,
		long faultCount, List<String> faults) {

	private static final int MOST_LINES = 5;

	private static final int MOST_FAULTS = 20;

	private static final long PIECES_BETWEEN_TELLING = 256;

	/**
	 * A line of a corpus, by where it stands and how long it is.
	 *
	 * @param file it is in
	 * @param number from 1
	 * @param bytes in UTF-8, its end included
	 */
	public record Line(Path file, long number, long bytes) {
	}

	/** Follows a survey. */
	@FunctionalInterface
	public interface Progress {

		/**
		 * Called every few megabytes of text.
		 * @param bytes of the files that have been read, as they are stored
		 * @param ofBytes how many there are
		 */
		void onBytes(long bytes, long ofBytes);

	}

	/**
	 * Looks at a corpus.
	 * @param corpus the text
	 * @param progress is told how far it is
	 * @return what is in it
	 */
	public static CorpusSurvey of(Corpus corpus, Progress progress) {
		Found found = new Found();
		Documents documents = new Documents();
		long ofBytes = corpus.bytes();
		try (Corpus.Reading pieces = corpus.read(found)) {
			for (long i = 1; pieces.hasNext(); i++) {
				documents.add(pieces.next());
				if (i % PIECES_BETWEEN_TELLING == 0) {
					progress.onBytes(pieces.bytes(), ofBytes);
				}
			}
		}
		progress.onBytes(ofBytes, ofBytes);
		return new CorpusSurvey(corpus.files().size(), ofBytes, documents.lengths(), documents.duplicates(),
				List.copyOf(found.longest), found.faultCount, List.copyOf(found.faults));
	}

	/** What the reading meets. */
	private static final class Found implements CorpusObserver {

		private final List<Line> longest = new ArrayList<>();

		private final List<String> faults = new ArrayList<>();

		private long faultCount;

		@Override
		public void onFault(InvalidInputException fault) {
			this.faultCount++;
			if (this.faults.size() < MOST_FAULTS) {
				this.faults.add(fault.problem());
			}
		}

		@Override
		public void onLine(Path file, long number, long bytes) {
			boolean room = this.longest.size() < MOST_LINES;
			if (room || bytes > this.longest.get(MOST_LINES - 1).bytes()) {
				if (!room) {
					this.longest.remove(MOST_LINES - 1);
				}
				this.longest.add(new Line(file, number, bytes));
				this.longest.sort(Comparator.comparingLong(Line::bytes).reversed());
			}
		}

	}

	/**
	 * Lengths, and hashes of 64 bits: among ten million texts, two meet by chance in one
	 * of 300000 corpora.
	 */
	private static final class Documents {

		private long[] lengths = new long[1024];

		private long[] hashes = new long[1024];

		private int count;

		private long length;

		private long hash;

		void add(TextPiece piece) {
			if (piece.prompt() != null) {
				add(piece.prompt());
				// where the prompt ends counts as well
				this.hash = mix(this.hash + 1);
			}
			add(piece.text());
			if (piece.endsDocument()) {
				if (this.count == this.lengths.length) {
					this.lengths = Arrays.copyOf(this.lengths, 2 * this.count);
					this.hashes = Arrays.copyOf(this.hashes, 2 * this.count);
				}
				this.lengths[this.count] = this.length;
				this.hashes[this.count++] = mix(this.hash);
				this.length = 0;
				this.hash = 0;
			}
		}

		private void add(String text) {
			this.length += text.length();
			for (int i = 0; i < text.length(); i++) {
				this.hash = (this.hash ^ text.charAt(i)) * 0x9E3779B97F4A7C15L;
				this.hash ^= this.hash >>> 32;
			}
		}

		private static long mix(long bits) {
			long mixed = (bits ^ (bits >>> 30)) * 0xBF58476D1CE4E5B9L;
			mixed = (mixed ^ (mixed >>> 27)) * 0x94D049BB133111EBL;
			return mixed ^ (mixed >>> 31);
		}

		long[] lengths() {
			return Arrays.copyOf(this.lengths, this.count);
		}

		long duplicates() {
			long[] sorted = Arrays.copyOf(this.hashes, this.count);
			Arrays.sort(sorted);
			long duplicates = 0;
			for (int i = 1; i < sorted.length; i++) {
				duplicates += (sorted[i] == sorted[i - 1]) ? 1 : 0;
			}
			return duplicates;
		}

	}

}

package io.calm.text;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import io.calm.text.ByteLevelTokenizer.Merge;

/**
 * Byte-pair encoding (Sennrich et al., arXiv 1508.07909) over bytes: again and again, the
 * two neighbours that stand together most often become one token. The result depends on
 * the text only.
 */
final class BytePairTraining {

	/** How the byte-level pre-tokenizer of GPT-2 splits a text into words. */
	private static final Pattern WORD = Pattern.compile(
			"'(?:[stmd]|re|ve|ll)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+",
			Pattern.UNICODE_CHARACTER_CLASS);

	/** What more text could tell about frequent pairs is not worth the time. */
	private static final long MOST_CHARACTERS = 256L << 20;

	/** Of different words; those of which there is but one are rarely worth a merge. */
	private static final int MOST_WORDS = 2_000_000;

	private final List<int[]> words = new ArrayList<>();

	private final List<Long> counts = new ArrayList<>();

	private final Map<Long, Pair> pairs = new HashMap<>();

	/** How often two neighbours occur, and the words in which they did at some time. */
	private static final class Pair {

		private long count;

		private final Set<Integer> words = new HashSet<>();

	}

	private BytePairTraining(Map<String, Long> wordCounts) {
		wordCounts.forEach((word, count) -> {
			byte[] bytes = word.getBytes(StandardCharsets.UTF_8);
			int[] ids = new int[bytes.length];
			Arrays.setAll(ids, (i) -> ByteLevelTokenizer.FIRST_BYTE + Byte.toUnsignedInt(bytes[i]));
			this.words.add(ids);
			this.counts.add(count);
			count(this.words.size() - 1, 1);
		});
	}

	/**
	 * The merges that a text is worth, fewer than asked for if it has no more.
	 */
	static List<Merge> merges(Corpus corpus, int most) {
		return new BytePairTraining(countWords(corpus)).merge(most);
	}

	private static Map<String, Long> countWords(Corpus corpus) {
		// sorted, so that the order does not depend on hash codes
		Map<String, Long> counts = new TreeMap<>();
		long characters = 0;
		try (Stream<TextPiece> pieces = corpus.pieces()) {
			for (Iterator<TextPiece> rest = pieces.iterator(); rest.hasNext() && characters < MOST_CHARACTERS;) {
				String text = rest.next().whole();
				characters += text.length();
				for (Matcher word = WORD.matcher(text); word.find();) {
					if (counts.size() < MOST_WORDS || counts.containsKey(word.group())) {
						counts.merge(word.group(), 1L, Long::sum);
					}
				}
			}
		}
		return counts;
	}

	private List<Merge> merge(int most) {
		List<Merge> merges = new ArrayList<>();
		Map.Entry<Long, Pair> best = mostFrequent();
		while (merges.size() < most && best.getValue().count > 1) {
			Merge merge = new Merge((int) (best.getKey() >>> 32), best.getKey().intValue());
			int id = ByteLevelTokenizer.FIRST_MERGED + merges.size();
			merges.add(merge);
			// a copy: counting the words anew changes the pairs
			for (int word : List.copyOf(best.getValue().words)) {
				count(word, -1);
				this.words.set(word, apply(merge, id, this.words.get(word)));
				count(word, 1);
			}
			this.pairs.remove(best.getKey());
			best = mostFrequent();
		}
		return merges;
	}

	/** The pair of the greatest count, of these the one of the smallest ids. */
	private Map.Entry<Long, Pair> mostFrequent() {
		Map.Entry<Long, Pair> best = Map.entry(Long.MAX_VALUE, new Pair());
		for (Map.Entry<Long, Pair> entry : this.pairs.entrySet()) {
			int order = Long.compare(entry.getValue().count, best.getValue().count);
			if (order > 0 || (order == 0 && entry.getKey() < best.getKey())) {
				best = entry;
			}
		}
		return best;
	}

	private void count(int word, int sign) {
		int[] ids = this.words.get(word);
		for (int i = 1; i < ids.length; i++) {
			Pair pair = this.pairs.computeIfAbsent(((long) ids[i - 1] << 32) | ids[i], (key) -> new Pair());
			pair.count += sign * this.counts.get(word);
			pair.words.add(word);
		}
	}

	private static int[] apply(Merge merge, int id, int[] ids) {
		int[] merged = new int[ids.length];
		int length = 0;
		for (int i = 0; i < ids.length; i++) {
			boolean both = i + 1 < ids.length && ids[i] == merge.left() && ids[i + 1] == merge.right();
			merged[length++] = both ? id : ids[i];
			i += both ? 1 : 0;
		}
		return Arrays.copyOf(merged, length);
	}

}

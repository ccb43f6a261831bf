package io.calm.text;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import java.util.Random;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

class StreamingDecoderTests {

	@Test
	void givesOutWholeCharactersOnly() {
		ByteTokenizer tokenizer = new ByteTokenizer();
		StreamingDecoder decoder = new StreamingDecoder(tokenizer);
		int[] ids = tokenizer.encode("aé🤖");
		assertThat(decoder.append(ids[0])).isEqualTo("a");
		assertThat(decoder.append(ids[1])).isEmpty();
		assertThat(decoder.append(ids[2])).isEqualTo("é");
		assertThat(decoder.append(ids[3], ids[4])).isEmpty();
		assertThat(decoder.append(ids[5])).isEmpty();
		assertThat(decoder.append(ids[6], ids[0])).isEqualTo("🤖a");
		assertThat(decoder.append()).isEmpty();
		assertThat(decoder.flush()).isEmpty();
	}

	@Test
	void flushEndsHalfACharacterAndBeginsANewText() {
		ByteTokenizer tokenizer = new ByteTokenizer();
		StreamingDecoder decoder = new StreamingDecoder(tokenizer);
		int[] robot = tokenizer.encode("🤖");
		assertThat(decoder.append(robot[0], robot[1])).isEmpty();
		assertThat(decoder.flush()).isEqualTo("\uFFFD");
		assertThat(decoder.append(robot)).isEqualTo("🤖");
	}

	@Test
	void specialTokensInTheMiddleMakeNoDifference() {
		ByteTokenizer tokenizer = new ByteTokenizer();
		StreamingDecoder decoder = new StreamingDecoder(tokenizer);
		int[] ids = tokenizer.encode("é");
		assertThat(decoder.append(1, 0, ids[0], 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ids[1], 2)).isEqualTo("é");
	}

	@Test
	void togetherItIsTheDecodedText() {
		Random random = new Random(7);
		try (Tokenizer trained = Tokenizer.load(TokenizerTests.trained())) {
			for (Tokenizer tokenizer : new Tokenizer[] { trained, new ByteTokenizer() }) {
				int[] text = tokenizer.encode(TokenizerTests.UNICODE + TokenizerTests.randomText(random, 2_000));
				assertStreamed(tokenizer, text, random);
			}
		}
	}

	@Test
	void togetherItIsTheDecodedTextEvenOfNoise(@TempDir Path directory) {
		Random random = new Random(8);
		new ByteTokenizer().save(directory);
		try (Tokenizer trained = Tokenizer.load(TokenizerTests.trained());
				Tokenizer loadedBytes = Tokenizer.load(directory)) {
			for (Tokenizer tokenizer : new Tokenizer[] { trained, loadedBytes, new ByteTokenizer() }) {
				for (int i = 0; i < 20; i++) {
					assertStreamed(tokenizer, random.ints(500, 0, tokenizer.vocabularySize()).toArray(), random);
				}
			}
			for (Tokenizer tokenizer : new Tokenizer[] { loadedBytes, new ByteTokenizer() }) {
				for (int i = 0; i < 50; i++) {
					// bytes from 0x80 on: beginnings of characters that are hardly ever
					// finished
					assertStreamed(tokenizer, random.ints(300, 3 + 0x80, 3 + 0x100).toArray(), random);
				}
			}
		}
	}

	@Test
	void aContinuationIsWhatItsTokensAddToThoseBefore(@TempDir Path directory) throws IOException {
		Random random = new Random(9);
		try (Tokenizer trained = Tokenizer.load(TokenizerTests.trained());
				Tokenizer words = Tokenizer.load(TokenizerTests.writeWords(directory))) {
			StreamingDecoder decoder = new StreamingDecoder(words, new int[] { 1, 4, 5 }, "");
			assertThat(decoder.append(6, 4) + decoder.flush()).isEqualTo(" three one");
			assertThat(decoder.append(6) + decoder.flush()).as("another text").isEqualTo("three");
			for (Tokenizer tokenizer : new Tokenizer[] { trained, words, new ByteTokenizer() }) {
				for (int i = 0; i < 20; i++) {
					int[] before = tokenizer.encode("one two three".repeat(i % 4));
					int[] after = random.ints(30, 0, tokenizer.vocabularySize()).toArray();
					int[] all = Arrays.copyOf(before, before.length + after.length);
					System.arraycopy(after, 0, all, before.length, after.length);
					assertStreamed(tokenizer, before, after, random,
							tokenizer.decode(all).substring(tokenizer.decode(before).length()));
				}
			}
		}
	}

	@Test
	void whatIsGivenAlreadyIsNotGivenOutAgain() {
		ByteTokenizer tokenizer = new ByteTokenizer();
		for (String[] each : new String[][] { { "", " a", " a" }, { " ", " a", "a" }, { " ", "  a", " a" },
				{ " ", "a", "a" }, { "\n\n", "\na", "a" }, { "\n\n", "\n\n\n", "\n" }, { " \n", " \t", "\t" },
				{ " ", "", "" } }) {
			StreamingDecoder decoder = new StreamingDecoder(tokenizer, tokenizer.encode("x"), each[0]);
			StringBuilder text = new StringBuilder();
			for (int id : tokenizer.encode(each[1])) {
				text.append(decoder.append(id));
			}
			assertThat(text + decoder.flush()).as("%s", (Object) each).isEqualTo(each[2]);
		}
	}

	@Test
	void theCostOfATokenDoesNotGrow() {
		CountingTokenizer tokenizer = new CountingTokenizer();
		StreamingDecoder decoder = new StreamingDecoder(tokenizer, tokenizer.encode("long ago ".repeat(100)), "");
		for (int first : new int[] { 3 + 'a', 3 + 0x80 }) {
			for (int i = 0; i < 1_000; i++) {
				decoder.append(first, 0);
			}
		}
		assertThat(tokenizer.longest).isBetween(1, 30);
	}

	private static void assertStreamed(Tokenizer tokenizer, int[] ids, Random random) {
		assertStreamed(tokenizer, new int[0], ids, random, tokenizer.decode(ids));
	}

	private static void assertStreamed(Tokenizer tokenizer, int[] before, int[] ids, Random random, String expected) {
		StreamingDecoder decoder = new StreamingDecoder(tokenizer, before, "");
		StringBuilder text = new StringBuilder();
		for (int from = 0; from < ids.length;) {
			int to = Math.min(ids.length, from + random.nextInt(5));
			text.append(decoder.append(Arrays.copyOfRange(ids, from, to)));
			from = to;
		}
		text.append(decoder.flush());
		assertThat(text.toString()).isEqualTo(expected);
	}

	/** Bytes, remembering how many were decoded at once. */
	private static final class CountingTokenizer implements Tokenizer {

		private final ByteTokenizer bytes = new ByteTokenizer();

		private int longest;

		@Override
		public int[] encode(String text) {
			return this.bytes.encode(text);
		}

		@Override
		public String decode(int... ids) {
			this.longest = Math.max(this.longest, ids.length);
			return this.bytes.decode(ids);
		}

		@Override
		public Map<String, Integer> specialTokens() {
			return Map.of();
		}

		@Override
		public int vocabularySize() {
			return this.bytes.vocabularySize();
		}

		@Override
		public int longestToken() {
			return 1;
		}

		@Override
		public int padId() {
			return this.bytes.padId();
		}

		@Override
		public int bosId() {
			return this.bytes.bosId();
		}

		@Override
		public int eosId() {
			return this.bytes.eosId();
		}

		@Override
		public void save(Path directory) {
			this.bytes.save(directory);
		}

		@Override
		public void close() {
		}

	}

}

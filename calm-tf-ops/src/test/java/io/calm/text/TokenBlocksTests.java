package io.calm.text;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeSet;
import java.util.stream.IntStream;

import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static io.calm.text.TokenizerTests.assertInvalid;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.within;

class TokenBlocksTests {

	private static final int PAD = 0;

	/** Document d is d·1000+1, d·1000+2, …: every id says where it belongs. */
	private static final int[] LENGTHS = new Random(5).ints(60, 1, 90).toArray();

	private static final TokenStore STORE = TokenStore.of(IntStream.range(0, LENGTHS.length)
		.mapToObj((d) -> IntStream.rangeClosed(1, LENGTHS[d]).map((i) -> d * 1000 + i).toArray())
		.toArray(int[][]::new));

	@AfterAll
	static void close() {
		STORE.close();
	}

	@Test
	void aSmallExampleByHand() {
		try (TokenStore store = TokenStore.of(new int[] { 1, 2, 3 }, new int[] { 4, 5, 6, 7, 8 }, new int[] { 9 })) {
			TokenBlocks blocks = TokenBlocks.sequential(store, 2, 4, PAD);
			assertThat(blocks.blocks()).isEqualTo(2);
			TokenBatch batch = blocks.batch(3, 0);
			assertThat(batch.size()).isEqualTo(3);
			assertThat(batch.patches()).isEqualTo(4);
			assertThat(batch.patchSize()).isEqualTo(2);
			assertThat(batch.tokens()).containsExactly(1, 2, 3, 0, 4, 5, 6, 7, 8, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
					0, 0);
			assertThat(batch.documents()).containsExactly(1, 1, 2, 2, 1, 2, 0, 0, 0, 0, 0, 0);
			assertThat(batch.sources()).containsExactly(0, 0, 1, 1, 1, 2, -1, -1, -1, -1, -1, -1);
			assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> blocks.batch(3, 1));
			assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> blocks.batch(3, -1));
		}
	}

	@Test
	void aPromptAndItsAnswerByHand(@TempDir Path directory) throws IOException {
		Path file = Files.writeString(directory.resolve("a.jsonl"), """
				{"prompt": "ab", "completion": "c"}
				{"prompt": "a", "completion": "bcd"}
				{"prompt": "abcdef", "completion": "g"}
				{"text": "a"}
				""");
		try (TokenStore store = TokenStore.of(Corpus.of(file), new ByteTokenizer())) {
			TokenBlocks blocks = TokenBlocks.sequential(store, 2, 4, PAD);
			assertThat(blocks.blocks()).isEqualTo(3);
			TokenBatch batch = blocks.batch(3, 0);
			// the third is longer than a block, with its pad; the second begins the
			// second
			// block, as it does not fit into the rest of the first
			assertThat(batch.tokens()).containsExactly(0, 1, 100, 101, 102, 2, 0, 0, 1, 100, 101, 102, 103, 2, 1, 100,
					2, 0, 0, 0, 0, 0, 0, 0);
			assertThat(batch.documents()).containsExactly(1, 1, 1, 0, 1, 1, 1, 2, 1, 0, 0, 0);
			assertThat(batch.counted()).containsExactly(0, 0, 1, 0, 0, 1, 1, 1, 1, 0, 0, 0);
		}
	}

	/** Prompts with answers among plain text, in training and in evaluation. */
	@ParameterizedTest
	@ValueSource(ints = { 1, 2, 4, 8 })
	void answersBeginAPatchAndSeeTheirPrompt(int patchSize, @TempDir Path directory) throws IOException {
		Random random = new Random(patchSize);
		StringBuilder lines = new StringBuilder();
		int asked = 0;
		for (int i = 0; i < 300; i++) {
			// q, a and t say what is prompt, answer and plain text
			if (random.nextInt(4) > 0) {
				asked++;
				lines.append("{\"prompt\":\"%s\",\"completion\":\"%s\"}%n".formatted("q".repeat(random.nextInt(20)),
						"a".repeat(random.nextInt(1, 9))));
			}
			else {
				lines.append("{\"text\":\"%s\"}%n".formatted("t".repeat(random.nextInt(1, 150))));
			}
		}
		Path file = Files.writeString(directory.resolve("a.jsonl"), lines);
		ByteTokenizer tokenizer = new ByteTokenizer();
		int q = tokenizer.encode("q")[0];
		int a = tokenizer.encode("a")[0];
		int patches = 64 / patchSize;
		try (TokenStore store = TokenStore.of(Corpus.of(file), tokenizer)) {
			TokenBlocks sequential = TokenBlocks.sequential(store, patchSize, patches, PAD);
			TokenBlocks shuffled = TokenBlocks.shuffled(store, patchSize, patches, PAD, 3);
			for (TokenBlocks blocks : List.of(sequential, shuffled)) {
				TreeSet<Integer> seen = new TreeSet<>();
				for (long block = 0; block < blocks.blocks(); block++) {
					TokenBatch batch = blocks.batch(1, block);
					assertThat(batch).usingRecursiveComparison().isEqualTo(blocks.batch(1, block));
					for (int p = 0; p < patches; p++) {
						int[] patch = Arrays.copyOfRange(batch.tokens(), p * patchSize, (p + 1) * patchSize);
						int source = batch.sources()[p];
						boolean answer = Arrays.stream(patch).anyMatch((id) -> id == a);
						if (source < 0 || store.given(source) == 0) {
							assertThat(answer).isFalse();
							assertThat(batch.counted()[p]).isEqualTo((source < 0) ? 0 : 1);
							continue;
						}
						boolean prompt = Arrays.stream(patch).anyMatch((id) -> id == q || id == 1);
						assertThat(answer && prompt).isFalse();
						assertThat(batch.counted()[p]).isEqualTo(prompt ? 0 : 1);
						if (answer && seen.add(source)) {
							assertThat(batch.sources()[p - 1]).isEqualTo(source);
							assertThat(batch.counted()[p - 1]).isZero();
						}
					}
				}
				assertThat(seen.size()).isBetween((blocks == sequential) ? asked : asked * 9 / 10, asked);
			}
		}
	}

	@Test
	void onlyPromptsThatAreTooLongAreRefused(@TempDir Path directory) throws IOException {
		Path file = Files.writeString(directory.resolve("a.jsonl"),
				"{\"prompt\": \"abcdefgh\", \"completion\": \"c\"}");
		try (TokenStore store = TokenStore.of(Corpus.of(file), new ByteTokenizer())) {
			assertInvalid(() -> TokenBlocks.shuffled(store, 4, 2, PAD, 1)).contains("longer than a block",
					"2 patches of 4 tokens", "make the block larger");
			assertThat(TokenBlocks.shuffled(store, 4, 5, PAD, 1).blocks()).isEqualTo(1);
		}
	}

	@ParameterizedTest
	@ValueSource(ints = { 1, 2, 4, 8 })
	void sequentialBlocksHoldEveryTokenOnceInOrder(int patchSize) {
		for (int patches : new int[] { 1, 3, 7, 1000 }) {
			TokenBlocks blocks = TokenBlocks.sequential(STORE, patchSize, patches, PAD);
			int size = 4;
			List<Integer> tokens = new ArrayList<>();
			for (long i = 0; i * size < blocks.blocks(); i++) {
				TokenBatch batch = blocks.batch(size, i);
				assertThat(batch).usingRecursiveComparison().isEqualTo(blocks.batch(size, i));
				assertNumbersFitSources(batch);
				for (int p = 0; p < size * patches; p++) {
					int first = batch.tokens()[p * patchSize];
					if (first == PAD) {
						assertThat(batch.documents()[p]).isZero();
						assertThat(batch.sources()[p]).isEqualTo(-1);
					}
					else {
						assertThat(batch.sources()[p]).isEqualTo(first / 1000);
						assertThat(first % 1000 % patchSize).as("aligned").isEqualTo(1 % patchSize);
					}
				}
				Arrays.stream(batch.tokens()).filter((id) -> id != PAD).forEach(tokens::add);
			}
			assertThat(tokens).hasSize((int) STORE.tokens());
			assertThat(tokens).isEqualTo(tokens.stream().sorted().toList());
		}
	}

	@ParameterizedTest
	@ValueSource(ints = { 1, 2, 4, 8 })
	void anEpochHoldsEveryDocumentExceptForATail(int patchSize) {
		int patches = 7;
		TokenBlocks blocks = TokenBlocks.shuffled(STORE, patchSize, patches, PAD, 42);
		long expected = Arrays.stream(LENGTHS).mapToLong((n) -> (n + patchSize - 1) / patchSize).sum() / patches;
		assertThat(blocks.blocks()).isEqualTo(expected);
		for (long epoch = 0; epoch < 3; epoch++) {
			TreeSet<Integer> tokens = new TreeSet<>();
			int count = 0;
			for (long block = epoch * expected; block < (epoch + 1) * expected; block++) {
				TokenBatch batch = blocks.batch(1, block);
				assertNumbersFitSources(batch);
				assertPadsAtTheEdgesOnly(batch);
				for (int id : batch.tokens()) {
					if (id != PAD) {
						tokens.add(id);
						count++;
					}
				}
				assertThat(batch.documents()).as("no block has a patch of PAD only").doesNotContain(0);
			}
			assertThat(tokens).as("no token twice").hasSize(count);
			// a left pad makes a document one patch longer at most: so much may be cut
			// off
			int cut = (LENGTHS.length + patches) * patchSize;
			assertThat(count).isBetween((int) STORE.tokens() - cut, (int) STORE.tokens());
			if (patchSize == 1) {
				assertThat(count).isEqualTo((int) expected * patches);
			}
			// what is missing is the end of the stream: one document in part, others
			// whole
			int inPart = 0;
			for (int d = 0; d < LENGTHS.length; d++) {
				int held = tokens.subSet(d * 1000, (d + 1) * 1000).size();
				if (held > 0 && held < LENGTHS[d]) {
					inPart++;
					assertThat(tokens.subSet(d * 1000, (d + 1) * 1000).last()).isEqualTo(d * 1000 + held);
				}
			}
			assertThat(inPart).isLessThanOrEqualTo(1);
		}
	}

	@Test
	void aBatchIsAFunctionOfSeedSizeAndIndex() {
		TokenBlocks blocks = TokenBlocks.shuffled(STORE, 4, 5, PAD, 42);
		List<TokenBatch> forward = IntStream.range(0, 60).mapToObj((i) -> blocks.batch(8, i)).toList();
		TokenBlocks others = TokenBlocks.shuffled(STORE, 4, 5, PAD, 42);
		for (int i = 59; i >= 0; i--) {
			assertThat(others.batch(8, i)).usingRecursiveComparison().isEqualTo(forward.get(i));
		}
		List<TokenBatch> parallel = IntStream.range(0, 60).parallel().mapToObj((i) -> others.batch(8, i)).toList();
		assertThat(parallel).usingRecursiveComparison().isEqualTo(forward);
		// the size only groups the blocks, also across the border of an epoch
		for (int i = 0; i < 120; i++) {
			int[] half = Arrays.copyOfRange(forward.get(i / 2).tokens(), i % 2 * 80, i % 2 * 80 + 80);
			assertThat(others.batch(4, i).tokens()).isEqualTo(half);
		}
	}

	@Test
	void epochsAndSeedsDiffer() {
		TokenBlocks blocks = TokenBlocks.shuffled(STORE, 4, 5, PAD, 42);
		int epoch = (int) blocks.blocks();
		int[] first = blocks.batch(epoch, 0).tokens();
		assertThat(blocks.batch(epoch, 1).tokens()).isNotEqualTo(first);
		assertThat(TokenBlocks.shuffled(STORE, 4, 5, PAD, 43).batch(epoch, 0).tokens()).isNotEqualTo(first);
		int[] sources = blocks.batch(epoch, 0).sources();
		assertThat(sources).isNotEqualTo(Arrays.stream(sources).sorted().toArray());
	}

	@Test
	void leftPadsAreUniform() {
		int patchSize = 4;
		try (TokenStore store = TokenStore
			.of(IntStream.range(0, 4_000).mapToObj((d) -> new int[] { 1, 2, 3, 4, 5 }).toArray(int[][]::new))) {
			TokenBlocks blocks = TokenBlocks.shuffled(store, patchSize, 2, PAD, 9);
			int[] pads = new int[patchSize];
			Map<Integer, TreeSet<Integer>> padsOfDocument = new HashMap<>();
			for (long epoch = 0; epoch < 8; epoch++) {
				TokenBatch batch = blocks.batch((int) blocks.blocks(), epoch);
				for (int p = 0; p < batch.sources().length; p++) {
					int begin = p * patchSize;
					int pad = 0;
					while (batch.tokens()[begin + pad] == PAD) {
						pad++;
					}
					if (batch.tokens()[begin + pad] == 1) {
						pads[pad]++;
						padsOfDocument.computeIfAbsent(batch.sources()[p], (d) -> new TreeSet<>()).add(pad);
					}
				}
			}
			int all = Arrays.stream(pads).sum();
			assertThat(all).isGreaterThan(20_000);
			for (int count : pads) {
				assertThat((double) count / all).isEqualTo(0.25, within(0.015));
			}
			assertThat(padsOfDocument.values().stream().mapToInt(TreeSet::size).average().orElseThrow())
				.isGreaterThan(3);
		}
	}

	@Test
	void aCorpusShorterThanABlockIsReported() {
		try (TokenStore store = TokenStore.of(new int[] { 1, 2, 3, 4, 5 })) {
			assertInvalid(() -> TokenBlocks.shuffled(store, 2, 4, PAD, 1)).contains("shorter than one block",
					"5 tokens in 1 document", "3 patches of 2 tokens", "has 4", "more text");
			assertThat(TokenBlocks.shuffled(store, 2, 3, PAD, 1).blocks()).isEqualTo(1);
			assertThat(TokenBlocks.sequential(store, 2, 4, PAD).blocks()).isEqualTo(1);
			assertThatIllegalArgumentException().isThrownBy(() -> TokenBlocks.sequential(store, 0, 4, PAD));
			assertThatIllegalArgumentException().isThrownBy(() -> TokenBlocks.sequential(store, 2, 4, PAD).batch(0, 0));
		}
	}

	@Test
	void theShapeOfABatchIsChecked() {
		assertThatIllegalArgumentException()
			.isThrownBy(() -> new TokenBatch(1, 2, 2, new int[4], new int[2], new int[3], new int[2]));
	}

	/** Numbers count from 1 within a block, one for each document in it. */
	private static void assertNumbersFitSources(TokenBatch batch) {
		for (int block = 0; block < batch.size(); block++) {
			int number = 0;
			int source = -1;
			for (int p = block * batch.patches(); p < (block + 1) * batch.patches(); p++) {
				if (batch.sources()[p] >= 0 && batch.sources()[p] != source) {
					source = batch.sources()[p];
					number++;
				}
				assertThat(batch.documents()[p]).isEqualTo((batch.sources()[p] >= 0) ? number : 0);
			}
		}
	}

	/**
	 * The tokens of a patch are in a row; what is before is the begin, behind the end.
	 */
	private static void assertPadsAtTheEdgesOnly(TokenBatch batch) {
		int k = batch.patchSize();
		for (int p = 0; p < batch.patches(); p++) {
			int[] patch = Arrays.copyOfRange(batch.tokens(), p * k, (p + 1) * k);
			int[] ids = Arrays.stream(patch).filter((id) -> id != PAD).toArray();
			assertThat(ids).isNotEmpty();
			int document = batch.sources()[p];
			int left = 0;
			while (patch[left] == PAD) {
				left++;
			}
			for (int i = 0; i < ids.length; i++) {
				assertThat(patch[left + i]).isEqualTo(ids[0] + i);
			}
			assertThat(ids[0] / 1000).isEqualTo(document);
			if (left > 0) {
				assertThat(ids[0]).isEqualTo(document * 1000 + 1);
			}
			if (left + ids.length < k) {
				assertThat(ids[ids.length - 1]).isEqualTo(document * 1000 + LENGTHS[document]);
			}
		}
	}

	/** On average over epochs, whose left pads differ. */
	@Test
	void theShareOfPadIsThatOfManyEpochs() {
		int[][] documents = IntStream.range(1, 400)
			.mapToObj((length) -> IntStream.range(0, 1 + (length * 7) % 13).map((id) -> 5).toArray())
			.toArray(int[][]::new);
		try (TokenStore store = TokenStore.of(documents)) {
			for (int patchSize : new int[] { 1, 2, 4, 5 }) {
				TokenBlocks blocks = TokenBlocks.shuffled(store, patchSize, 8, 0, 3);
				long pads = 0;
				long all = 0;
				for (int batch = 0; batch < 1_000; batch++) {
					int[] tokens = blocks.batch(8, batch).tokens();
					pads += IntStream.of(tokens).filter((id) -> id == 0).count();
					all += tokens.length;
				}
				assertThat(TokenBlocks.padShare(store, patchSize)).isCloseTo((double) pads / all, within(0.005));
			}
		}
	}

	@Test
	void theShareOfPadOfPromptsIsExact(@TempDir Path directory) throws IOException {
		Path file = Files.writeString(directory.resolve("a.jsonl"),
				"{\"prompt\":\"abcd\",\"completion\":\"ef\"}\n{\"prompt\":\"abc\",\"completion\":\"def\"}\n");
		try (TokenStore store = TokenStore.of(Corpus.of(file), new ByteTokenizer())) {
			// of 8 tokens each; the first has 3 PADs before BOS and 1 behind EOS, the
			// second none
			assertThat(TokenBlocks.padShare(store, 4)).isEqualTo(4.0 / 20);
		}
	}

}

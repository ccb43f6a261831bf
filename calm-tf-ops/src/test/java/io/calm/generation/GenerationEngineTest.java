package io.calm.generation;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Call;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.input.InvalidInputException;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelFiles;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

class GenerationEngineTest {

	private static final int CONTEXT = 8;

	private static final int SEEDS = 12;

	private static final AutoencoderConfig AUTOENCODER = TinyModel.autoencoder().build();

	private static GenerationEngine engine;

	private static Uncached uncached;

	@BeforeAll
	static void open(@TempDir Path directory) {
		Path model = directory.resolve("model");
		// such that EOS comes up now and then
		TinyModel.write(model, AUTOENCODER, 0.5f, 8);
		engine = GenerationEngine.open(model,
				(options) -> options.slots(2).context(CONTEXT).program(TinyModel.PROGRAM));
		uncached = new Uncached(model);
	}

	@AfterAll
	static void close() {
		engine.close();
		uncached.program.close();
	}

	/**
	 * A hundred equal draws in a row are too much to ask of a model that knows nothing.
	 */
	@Test
	void tellsHowManyPatchesAreNotExact() {
		for (double temperature : new double[] { 1, 0.01 }) {
			GenerationStream stream = engine.generate("abcd",
					(request) -> request.exact(true).temperature(temperature).maxNewTokens(4).seed(3));
			assertThat(stream.stream()).hasSize(1);
			assertThat(stream.approximatePatches()).isEqualTo((temperature < 1) ? 1 : 0);
		}
	}

	/** Prompts that fill patches in every way, and the empty one. */
	@ParameterizedTest
	@ValueSource(strings = { "", "a", "ab", "abc", "abcd", "abcde", "abcdef", "abcdefg", "abcdefgh", "abcdefghi" })
	void isWhatTheNetworkDrawsWithoutACache(String prompt) {
		for (long seed = 0; seed < SEEDS; seed++) {
			List<Chunk> chunks = generate(prompt, 1000, seed);
			int[] all = uncached.continuation(prompt, seed);
			int end = IntStream.range(0, all.length)
				.filter((i) -> all[i] == AUTOENCODER.eosId())
				.findFirst()
				.orElse(all.length);
			assertThat(tokens(chunks)).as("seed " + seed).containsExactly(Arrays.copyOf(all, end));
			assertThat(reason(chunks)).as("seed " + seed)
				.isEqualTo((end < all.length) ? FinishReason.END : FinishReason.LENGTH);
		}
	}

	/** Else the test above would say nothing about caches. */
	@Test
	void theTextDependsOnThePrompt() {
		Set<String> texts = new HashSet<>();
		for (String prompt : List.of("", "a", "abcde", "b" + "a".repeat(10), "c" + "a".repeat(10))) {
			texts.add(Arrays.toString(uncached.continuation(prompt, 1)));
		}
		assertThat(texts).hasSizeGreaterThanOrEqualTo(4);
	}

	/** Else the test above would not see one of them. */
	@Test
	void endsForBothReasons() {
		Set<FinishReason> reasons = new HashSet<>();
		boolean within = false;
		for (long seed = 0; seed < SEEDS; seed++) {
			List<Chunk> chunks = generate("", 1000, seed);
			reasons.add(reason(chunks));
			within |= reason(chunks) == FinishReason.END && tokens(chunks).length % 4 != 0;
		}
		assertThat(reasons).containsExactlyInAnyOrder(FinishReason.END, FinishReason.LENGTH);
		assertThat(within).as("an end within a patch").isTrue();
	}

	@Test
	void sameSeedSameText() {
		assertThat(text(generate("abc", 20, 6))).isEqualTo(text(generate("abc", 20, 6)));
		Set<String> texts = new HashSet<>();
		for (long seed = 0; seed < SEEDS; seed++) {
			texts.add(Arrays.toString(tokens(generate("abc", 20, seed))));
		}
		assertThat(texts).hasSizeGreaterThan(SEEDS / 2);
	}

	@Test
	void makesNoMoreTokensThanAskedFor() {
		long seed = 0;
		while (tokens(generate("ab", 1000, seed)).length < 9) {
			seed++;
		}
		int[] all = tokens(generate("ab", 1000, seed));
		for (int length = 1; length <= 9; length++) {
			List<Chunk> chunks = generate("ab", length, seed);
			assertThat(tokens(chunks)).containsExactly(Arrays.copyOf(all, length));
			assertThat(chunks).hasSize((length + 3) / 4);
			assertThat(reason(chunks)).isEqualTo(FinishReason.LENGTH);
		}
	}

	@Test
	void textIsThatOfTheTokens() {
		for (long seed = 0; seed < SEEDS; seed++) {
			List<Chunk> chunks = generate("é", 1000, seed);
			assertThat(text(chunks)).isEqualTo(new ByteTokenizer().decode(tokens(chunks)));
			for (int i = 0; i < chunks.size(); i++) {
				assertThat(chunks.get(i).index()).isEqualTo(i);
				assertThat(chunks.get(i).finishReason() != null).isEqualTo(i == chunks.size() - 1);
			}
		}
	}

	@Test
	void aPromptMayFillAllButOnePatch() {
		// BOS and 27 bytes are 7 patches, after which 2 can be drawn
		assertThat(generate("a".repeat(27), 5, 0)).isNotEmpty();
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> generate("a".repeat(28), 5, 0))
			.withMessageContaining("29 tokens long, BOS included")
			.withMessageContaining("the context is 32")
			.withMessageContaining("fewer than 28 tokens");
	}

	@Test
	void refusesToMakeNothing() {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> generate("", 0, 0))
			.withMessageContaining("max new tokens");
	}

	private static List<Chunk> generate(String prompt, int maxNewTokens, long seed) {
		return engine.generate(prompt, (request) -> request.maxNewTokens(maxNewTokens).seed(seed)).stream().toList();
	}

	private static int[] tokens(List<Chunk> chunks) {
		return chunks.stream().flatMapToInt((chunk) -> Arrays.stream(chunk.tokens())).toArray();
	}

	private static String text(List<Chunk> chunks) {
		StringBuilder text = new StringBuilder();
		chunks.forEach((chunk) -> text.append(chunk.text()));
		return text.toString();
	}

	private static FinishReason reason(List<Chunk> chunks) {
		return Objects.requireNonNull(chunks.get(chunks.size() - 1).finishReason());
	}

	private static float[] noise(long seed, int position) {
		SplittableRandom random = Slot.random(seed, position, Slot.NOISE);
		float[] noise = new float[2 + 8]; // of lead tokens, and of the head
		for (int i = 0; i < noise.length; i++) {
			noise[i] = random.nextFloat();
		}
		return noise;
	}

	/** The network over the whole text again for every patch, with the same draws. */
	private static final class Uncached {

		private final Program program;

		private final Input<TInt32, int[]> tokens;

		private final Input<TInt32, int[]> position;

		private final Input<TFloat32, float[]> noise;

		private final Fetch<int[]> next;

		private final EntryPoint predict;

		Uncached(Path directory) {
			try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM);
					TensorFile weights = ModelDirectory.open(directory).weights()) {
				CalmConfig config = ModelConfigs.calm(ModelDirectory.open(directory), weights);
				Ops tf = builder.network().tf();
				CalmNetwork network = new CalmNetwork(builder.network(), config, AUTOENCODER);
				this.tokens = builder.ints(CONTEXT, 4);
				this.position = builder.ints(1);
				this.noise = builder.floats(1, config.noise().size());
				int[][] oneDocument = new int[1][CONTEXT];
				Arrays.fill(oneDocument[0], 1);
				Operand<TFloat32> hidden = network.states(this.tokens.value(), tf.constant(oneDocument));
				Operand<TFloat32> last = tf.gather(hidden, this.position.value(), tf.constant(0));
				this.next = Fetch.ints(network.draw(last, tf.constant(new int[] { 0 }), this.noise.value()));
				this.predict = builder.entryPoint().fetching(this.next);
				this.program = builder.build();
				ModelFiles.load(this.program, this.program.variables((name) -> true), directory, weights);
			}
		}

		/** Up to the end of the context, beyond any EOS. */
		int[] continuation(String prompt, long seed) {
			int[] ids = new ByteTokenizer().encode(prompt);
			int length = (ids.length + 4) / 4 * 4;
			int[] text = new int[(CONTEXT + 1) * 4]; // PADs before
			text[length - ids.length - 1] = AUTOENCODER.bosId();
			System.arraycopy(ids, 0, text, length - ids.length, ids.length);
			for (int patch = length / 4 - 1; patch < CONTEXT; patch++) {
				try (Call call = this.program.call(this.predict)
					.feed(this.tokens, Arrays.copyOf(text, CONTEXT * 4))
					.feed(this.position, new int[] { patch })
					.feed(this.noise, noise(seed, patch))
					.run()) {
					System.arraycopy(call.get(this.next), 0, text, (patch + 1) * 4, 4);
				}
			}
			return Arrays.copyOfRange(text, length, text.length);
		}

	}

}

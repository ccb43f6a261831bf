package io.calm;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Consumer;
import java.util.stream.Stream;

import io.calm.checkpoint.ConfigFile;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.generation.GenerationEngine;
import io.calm.input.InvalidInputException;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import io.calm.training.LearningRate;
import io.calm.training.Phase;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingException;
import io.calm.training.TrainingListener;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

/** Adapters: trained, opened with their base, and merged with it. */
class LowRankTest {

	private static final String ADAPTER = "adapter_model.safetensors";

	private static final String CONFIG = "adapter_config.json";

	private static Path calm;

	private static Path llama;

	/** Of the CALM model, after three steps. */
	private static Path adapter;

	/** One block of 32 tokens: each step sees the same. */
	private static Path text;

	private Path output;

	@BeforeAll
	static void makeBases(@TempDir Path directory) throws IOException {
		text = Files.writeString(directory.resolve("text.txt"), "red blue green red blue green!");
		calm = directory.resolve("calm");
		Calm.train((training) -> training.corpus(text)
			.tokenizer(new ByteTokenizer())
			.autoencoder((shape) -> shape.hiddenSize(16).intermediateSize(32).latentSize(8),
					(length) -> length.steps(2).batch(1).patches(8))
			.languageModel("nano",
					(shape) -> shape.hiddenSize(16).heads(2).headBlocks(1).noiseSize(8).samples(4).targets(5),
					(length) -> length.steps(2).batch(1).patches(8))
			.program(TinyModel.PROGRAM)
			.output(calm)).close();
		llama = directory.resolve("llama");
		TinyModel.write(llama, TinyModel.baseline(new ByteTokenizer().vocabularySize(), 0), 1);
		adapter = directory.resolve("adapter");
		train(calm, 4, 3, adapter, (training) -> {
		});
	}

	@BeforeEach
	void chooseOutput(@TempDir Path directory) {
		this.output = directory.resolve("adapter");
	}

	@AfterEach
	void leaveNoInterrupt() {
		Thread.interrupted();
	}

	private static List<Double> train(Path base, int rank, long steps, Path output, Consumer<CalmTraining> settings) {
		List<Double> losses = new ArrayList<>();
		Calm.train((training) -> {
			training.base(base)
				.corpus(text)
				.languageModel((length) -> length.steps(steps)
					.batch(1)
					.patches(base.equals(calm) ? 8 : 32)
					.warmup(0)
					.decay(LearningRate.Decay.CONSTANT)
					.learningRate(1e-2))
				.program(TinyModel.PROGRAM)
				.listener(new TrainingListener() {

					@Override
					public void onStep(StepMetrics metrics) {
						losses.add(metrics.loss());
					}

				})
				.output(output);
			if (rank > 0) {
				training.lowRank(rank, 8);
			}
			settings.accept(training);
		}).close();
		return losses;
	}

	/** The adapter that all tests share, to be changed. */
	private void copyAdapter() {
		ModelDirectory.open(adapter).copyTo(this.output);
	}

	private List<Double> train(Path base, long steps) {
		return train(base, 4, steps, this.output, (training) -> {
		});
	}

	@Test
	void writesTheFilesOfPeftAndNothingOfTheBase() throws IOException {
		try (Stream<Path> files = Files.list(adapter)) {
			assertThat(files.map((file) -> file.getFileName().toString())).containsExactlyInAnyOrder(CONFIG, ADAPTER,
					"config.json", "tokenizer.json", "tokenizer_config.json");
		}
		ConfigFile config = ConfigFile.read(adapter.resolve(CONFIG));
		assertThat(config.text("peft_type")).isEqualTo("LORA");
		assertThat(config.integer("r")).isEqualTo(4);
		assertThat(config.number("lora_alpha")).isEqualTo(8);
		assertThat(config.text("base_model_name_or_path")).isEqualTo(calm.toAbsolutePath().toString());
		assertThat(Files.readString(adapter.resolve(CONFIG))).contains("down_proj", "gate_proj", "k_proj", "o_proj",
				"q_proj", "up_proj", "v_proj");
		try (TensorFile factors = TensorFile.open(adapter.resolve(ADAPTER))) {
			// two layers of seven maps
			assertThat(factors.entries()).hasSize(28);
			assertThat(factors.entry("base_model.model.transformer.layers.1.mlp.gate_proj.lora_A.weight").shape())
				.containsExactly(4L, 16L);
			assertThat(factors.entry("base_model.model.transformer.layers.1.mlp.gate_proj.lora_B.weight").shape())
				.containsExactly(64L, 4L);
			for (String name : factors.entries().keySet()) {
				assertThat(factors.readFloats(name)).as(name).matches((values) -> values[0] != 0);
			}
		}
	}

	/** The loss in training is that of the merged weights, not of the base's. */
	@Test
	void whatIsTrainedIsWhatIsMerged() {
		Path merged = this.output.resolveSibling("merged");
		double expected = train(llama, 4, 6, this.output.resolveSibling("longer"), (training) -> {
		}).get(5);
		List<Double> losses = train(llama, 5);
		Calm.merge(this.output, merged);
		Path tuned = this.output.resolveSibling("tuned");
		assertThat(train(merged, 0, 1, tuned, (training) -> {
		}).get(0)).isCloseTo(expected, within(1e-5));
		assertThat(losses.get(0)).isGreaterThan(expected + 0.1);
	}

	@ParameterizedTest
	@CsvSource({ "false, 2", "true, 4" })
	void addsTheScaledProduct(boolean rankStabilised, double scale) throws IOException {
		copyAdapter();
		replaceInConfig("\"use_rslora\": false", "\"use_rslora\": " + rankStabilised);
		Path merged = this.output.resolveSibling("merged");
		Calm.merge(this.output, merged);
		Map<String, float[]> before = weights(calm);
		Map<String, float[]> after = weights(merged);
		assertThat(weights(this.output)).usingRecursiveComparison().isEqualTo(after);
		assertThat(after.keySet()).isEqualTo(before.keySet());
		String changed = "transformer.layers.0.self_attn.q_proj";
		float[] product = product(changed, 16, 4, 16);
		for (int i = 0; i < product.length; i++) {
			assertThat(tensor(after, changed + ".weight")[i])
				.isCloseTo(tensor(before, changed + ".weight")[i] + (float) scale * product[i], within(1e-6f));
		}
		Set<String> same = new TreeSet<>();
		after.forEach((name, values) -> {
			if (Arrays.equals(values, before.get(name))) {
				same.add(name);
			}
		});
		assertThat(same).hasSize(after.size() - 14).noneMatch((name) -> name.matches("transformer.layers.*_proj.*"));
	}

	private float[] product(String map, int out, int rank, int in) {
		float[] product = new float[out * in];
		try (TensorFile adapter = TensorFile.open(this.output.resolve(ADAPTER))) {
			float[] up = adapter.readFloats("base_model.model." + map + ".lora_B.weight");
			float[] down = adapter.readFloats("base_model.model." + map + ".lora_A.weight");
			for (int i = 0; i < product.length; i++) {
				for (int r = 0; r < rank; r++) {
					product[i] += up[i / in * rank + r] * down[r * in + i % in];
				}
			}
		}
		return product;
	}

	@Test
	void writesTheSameTextWithItsBaseAndMerged() {
		copyAdapter();
		Path merged = this.output.resolveSibling("merged");
		Calm.merge(this.output, merged);
		assertThat(merged.resolve("autoencoder/model.safetensors"))
			.hasSameBinaryContentAs(calm.resolve("autoencoder/model.safetensors"));
		assertThat(text(this.output)).isEqualTo(text(merged)).isNotEqualTo(text(calm));
	}

	private static String text(Path model) {
		try (GenerationEngine engine = Calm.open(model)) {
			return engine.generate("red", (request) -> request.seed(1).maxNewTokens(60)).text();
		}
	}

	@Test
	void resumesToTheBit() throws IOException {
		Path whole = this.output.resolveSibling("whole");
		train(calm, 4, 6, whole, (training) -> {
		});
		TrainingListener interrupts = new TrainingListener() {

			@Override
			public void onStep(StepMetrics metrics) {
				if (metrics.step() == 3) {
					Thread.currentThread().interrupt();
				}
			}

		};
		assertThatExceptionOfType(TrainingException.class)
			.isThrownBy(() -> train(calm, 4, 6, this.output, (training) -> training.listener(interrupts)));
		assertThat(Thread.interrupted()).isTrue();
		Path checkpoint = this.output.resolveSibling("adapter.training").resolve(Phase.LANGUAGE_MODEL.toString());
		// what does not learn has no moments
		try (TensorFile state = TensorFile.open(checkpoint.resolve("optimizer.safetensors"))) {
			assertThat(state.entries().keySet()).hasSize(3 * 28).allMatch((name) -> name.contains(".lora_"));
		}
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> train(calm, 2, 6, this.output, (training) -> {
			}))
			.withMessageContaining("the checkpoint was trained with another adaptation (4, 8.0, now 2, 8.0)");
		train(calm, 6);
		assertThat(this.output.resolve(ADAPTER)).hasSameBinaryContentAs(whole.resolve(ADAPTER));
	}

	@ParameterizedTest
	@MethodSource("otherAdapters")
	void refusesWhatWouldGiveWrongTexts(String before, String after, String problem) throws IOException {
		copyAdapter();
		replaceInConfig(before, after);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> weights(this.output))
			.withMessageContaining(CONFIG)
			.withMessageContaining(problem);
	}

	static Stream<Arguments> otherAdapters() {
		String bias = "\"bias\"";
		return Stream.of(
				Arguments.of("\"use_dora\": false", "\"use_dora\": true", "'use_dora' = 'true' is not supported"),
				Arguments.of("\"none\"", "\"all\"", "'bias' = '\"all\"' is not supported"),
				Arguments.of(bias, "\"modules_to_save\": [\"lm_head\"], " + bias, "'modules_to_save' = "),
				Arguments.of(bias, "\"rank_pattern\": {\"q_proj\": 2}, " + bias, "'rank_pattern' = "),
				Arguments.of(bias, "\"init_lora_weights\": \"pissa\", " + bias, "'init_lora_weights' = "),
				Arguments.of(bias, "\"of_next_year\": 1, " + bias, "'of_next_year' = '1' is not supported"),
				Arguments.of("\"LORA\"", "\"IA3\"", "'peft_type' = '\"IA3\"' is not supported"),
				Arguments.of("\"lora_alpha\": 8.0", "\"lora_alpha\": \"much\"", "'lora_alpha'"),
				Arguments.of("\"r\": 4", "\"r\": 0", "'r' = '0' is out of range"));
	}

	@Test
	void refusesABaseThatIsNotThere() throws IOException {
		copyAdapter();
		replaceInConfig(calm.toString(), "meta-llama/Llama-3.2-1B");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ModelDirectory.open(this.output))
			.withMessageContaining(
					"meta-llama/Llama-3.2-1B', which is no directory; put the base there, or write the path");
	}

	@Test
	void refusesAnotherBase() throws IOException {
		copyAdapter();
		replaceInConfig(calm.toString(), llama.toString());
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> weights(this.output))
			.withMessageContaining("changes 'transformer.layers.0")
			.withMessageContaining("give the base that it was trained on");
	}

	@Test
	void refusesAnAdapterOfAnAdapter() throws IOException {
		copyAdapter();
		Path second = this.output.resolveSibling("second");
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> train(this.output, 4, 1, second, (training) -> {
			}))
			.withMessageContaining("is an adapter, to which no other can be added; merge it with its base first");
		ModelDirectory.open(this.output).copyTo(second);
		replaceInConfig(calm.toString(), second.toString());
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ModelDirectory.open(this.output))
			.withMessageContaining("which is an adapter itself");
	}

	@Test
	void anAdapterIsABaseToTrainOn() {
		copyAdapter();
		Path tuned = this.output.resolveSibling("tuned");
		train(this.output, 0, 1, tuned,
				(training) -> training.languageModel((length) -> length.steps(1).batch(1).patches(8)));
		assertThat(ModelDirectory.open(tuned).base()).isEmpty();
		assertThat(tuned.resolve("autoencoder/model.safetensors")).isRegularFile();
	}

	@Test
	void refusesSettingsThatContradictIt() {
		assertRefused("needs a base", (training) -> training.lowRank(4, 8).tokenizer(new ByteTokenizer()));
		assertRefused("LoRA is given, and so is the autoencoder",
				(training) -> training.base(calm).lowRank(4, 8).autoencoder((length) -> length.steps(1)));
		assertRefused("rank is 0; choose at least 1", (training) -> training.base(calm).lowRank(0, 8));
		assertRefused("alpha is -1.0; choose a positive number", (training) -> training.base(calm).lowRank(4, -1));
	}

	private void assertRefused(String problem, Consumer<CalmTraining> settings) {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> Calm.train((training) -> {
			training.corpus(text).output(this.output);
			settings.accept(training);
		})).withMessageContaining(problem);
	}

	@ParameterizedTest
	@ValueSource(strings = { "calm", "llama" })
	void refusesToMergeWhatIsNoAdapter(String name) {
		Path model = name.equals("calm") ? calm : llama;
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> Calm.merge(model, this.output))
			.withMessageContaining("is no adapter");
		assertThat(this.output).doesNotExist();
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> Calm.merge(model, llama))
			.withMessageContaining("exists already");
	}

	private void replaceInConfig(String before, String after) throws IOException {
		Path file = this.output.resolve(CONFIG);
		String content = Files.readString(file);
		assertThat(content).contains(before);
		Files.writeString(file, content.replace(before, after));
	}

	private static Map<String, float[]> weights(Path model) {
		Map<String, float[]> values = new TreeMap<>();
		try (TensorFile weights = ModelDirectory.open(model).weights()) {
			weights.entries().keySet().forEach((name) -> values.put(name, weights.readFloats(name)));
		}
		return values;
	}

	private static float[] tensor(Map<String, float[]> weights, String name) {
		return weights.getOrDefault(name, new float[0]);
	}

}

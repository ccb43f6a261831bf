package io.calm;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ElementType;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.SafetensorsWriter;
import io.calm.checkpoint.TensorEntry;
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
import io.calm.model.ModelFiles;
import io.calm.model.ModelInput;
import io.calm.model.TinyModel;
import io.calm.model.WarmStart;
import io.calm.text.ByteTokenizer;
import io.calm.training.TrainingOptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.types.TInt32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

/** Models that begin with the weights of a Llama. */
class WarmStartTest {

	private static final int WIDTH = 16;

	private static Path llama;

	private static Path text;

	private Path output;

	@BeforeAll
	static void writeLlama(@TempDir Path directory) throws IOException {
		ByteTokenizer tokenizer = new ByteTokenizer();
		llama = directory.resolve("llama");
		TinyModel.write(llama, TinyModel.baseline(tokenizer.vocabularySize(), tokenizer.padId()), 1);
		text = Files.writeString(directory.resolve("text.txt"), "red blue ".repeat(100));
	}

	@BeforeEach
	void chooseOutput(@TempDir Path directory) {
		this.output = directory.resolve("model");
	}

	private void train(Consumer<TrainingOptions.Builder> options, Consumer<CalmTraining> settings) {
		Calm.train((training) -> {
			training.warmStart(llama)
				.corpus(text)
				.autoencoder((shape) -> shape.hiddenSize(16).intermediateSize(32).latentSize(8),
						(length) -> length.steps(1).batch(2).patches(4))
				.languageModel((shape) -> shape.headBlocks(1).noiseSize(8).samples(4).targets(5), (length) -> {
					length.steps(3).batch(2).patches(4).warmup(0).learningRate(1e-2);
					options.accept(length);
				})
				.program(TinyModel.PROGRAM)
				.output(this.output);
			settings.accept(training);
		}).close();
	}

	@Test
	void theBackboneStaysTheLlamasWhileItIsFrozen() {
		train((options) -> options.backboneRate(1, 3), (training) -> {
		});
		Map<String, float[]> before = weights(llama);
		Map<String, float[]> after = weights(this.output);
		List<String> taken = after.keySet().stream().filter((name) -> name.startsWith("transformer.")).toList();
		// two layers of nine tensors, the norm and the table
		assertThat(taken).hasSize(20);
		assertThat(taken).allSatisfy((name) -> assertThat(after.get(name))
			.containsExactly(before.get(name.replace("transformer.", "model."))));
		// the identity has moved
		assertThat(tensor(this.output, "embed_proj.2.weight")[1]).isNotZero();
	}

	@Test
	void theBackboneLearnsAfterItWasFrozen() {
		train((options) -> options.backboneRate(0.5, 2), (training) -> {
		});
		assertThat(tensor(this.output, "transformer.norm.weight")).isNotEqualTo(tensor(llama, "model.norm.weight"));
	}

	/** The backbone is given the last token's vector, in the size of the Llama's. */
	@Test
	void aPatchBeginsAsItsLastToken() {
		int[] tokens = { 70, 80, 90, 100, 110, 120, 130, 140 };
		float[] table = tensor(llama, "model.embed_tokens.weight");
		double mean = 0;
		for (float value : table) {
			mean += (double) value * value / table.length;
		}
		float[] embedded = embedded(tokens, ModelInput.DISCRETE);
		for (int patch = 0; patch < 2; patch++) {
			float[] expected = standardized(table, tokens[patch * 4 + 3], Math.sqrt(mean));
			for (int i = 0; i < WIDTH; i++) {
				assertThat(embedded[patch * WIDTH + i]).isCloseTo(expected[i], within(1e-4f));
			}
		}
		assertThat(embedded(tokens, ModelInput.BOTH)).containsExactly(embedded, within(1e-5f));
	}

	private static float[] standardized(float[] table, int token, double size) {
		double mean = 0;
		double square = 0;
		for (int i = 0; i < WIDTH; i++) {
			mean += table[token * WIDTH + i] / (double) WIDTH;
			square += Math.pow(table[token * WIDTH + i], 2) / WIDTH;
		}
		float[] result = new float[WIDTH];
		for (int i = 0; i < WIDTH; i++) {
			result[i] = (float) (size * (table[token * WIDTH + i] - mean) / Math.sqrt(square - mean * mean));
		}
		return result;
	}

	private static float[] embedded(int[] tokens, ModelInput input) {
		AutoencoderConfig autoencoder = TinyModel.autoencoder().build();
		CalmConfig config = CalmConfig.over(WarmStart.backbone(ModelDirectory.open(llama)))
			.input(input)
			.build(autoencoder);
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			Input<TInt32, int[]> given = builder.ints(2, 4);
			CalmNetwork network = new CalmNetwork(builder.network(), config, autoencoder);
			Fetch<float[]> fetch = Fetch.floats(network.embed(given.value()));
			EntryPoint embed = builder.entryPoint().fetching(fetch);
			try (Program program = builder.build(); TensorFile weights = ModelDirectory.open(llama).weights()) {
				program.initialize(program.variables((name) -> true), 1);
				WarmStart.load(program, program.variables(CalmNetwork::isParameter), config, llama, weights);
				try (Call call = program.call(embed).feed(given, tokens).run()) {
					return call.get(fetch);
				}
			}
		}
	}

	@Test
	void aVectorIsMadeForAnAddedPad(@TempDir Path directory) {
		Path without = directory.resolve("llama");
		int known = new ByteTokenizer().vocabularySize() - 1;
		TinyModel.write(without, TinyModel.baseline(known, 0), 1);
		Calm.train((training) -> training.warmStart(without)
			.tokenizer(new ByteTokenizer())
			.corpus(text)
			.autoencoder((shape) -> shape.hiddenSize(16).intermediateSize(32).latentSize(8),
					(length) -> length.steps(1).batch(2).patches(4))
			.languageModel((length) -> length.steps(1).batch(2).patches(4).backboneRate(0, 0))
			.program(TinyModel.PROGRAM)
			.output(this.output)).close();
		float[] table = tensor(this.output, "transformer.embed_tokens.weight");
		assertThat(table).hasSize((known + 1) * WIDTH).startsWith(tensor(without, "model.embed_tokens.weight"));
		assertThat(table[known * WIDTH]).isNotZero();
	}

	@Test
	void refusesAnotherTokenizer(@TempDir Path directory) {
		Path other = directory.resolve("llama");
		TinyModel.write(other, TinyModel.baseline(100, 0), 1);
		assertRefused((training) -> training.warmStart(other),
				"has vectors for 100 tokens, and the tokenizer has 259; use the tokenizer that the Llama was trained");
	}

	@Test
	void refusesWhatIsNoLlama(@TempDir Path directory) {
		Path calm = directory.resolve("calm");
		TinyModel.write(calm, TinyModel.autoencoder().build(), 1, 1);
		assertRefused((training) -> training.warmStart(calm), "is no Llama");
	}

	@Test
	void refusesSettingsThatTheLlamaDecidesAbout() {
		assertRefused((training) -> training.languageModel("nano", (shape) -> {
		}, (options) -> {
		}), "the preset");
		assertRefused((training) -> training.languageModel((shape) -> shape.layers(3), (options) -> {
		}), "the backbone of the model has another shape than that of");
		assertRefused((training) -> training.base(llama), "the warm start");
		assertRefused((training) -> training.baseline("nano", (shape) -> {
		}, (options) -> {
		}), "the baseline");
	}

	@Test
	void refusesALlamaWithMoreThanIsComputed(@TempDir Path directory) {
		Path biased = directory.resolve("llama");
		ModelDirectory.open(llama).copyTo(biased);
		add(biased.resolve(ModelFiles.WEIGHTS), "model.layers.0.self_attn.q_proj.bias");
		assertRefused((training) -> training.warmStart(biased),
				"the tensor model.layers.0.self_attn.q_proj.bias has no place");
	}

	private void assertRefused(Consumer<CalmTraining> settings, String problem) {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> train((options) -> {
		}, settings)).withMessageContaining(problem);
		assertThat(this.output).doesNotExist();
	}

	private static void add(Path file, String name) {
		Map<String, float[]> values = new TreeMap<>();
		List<TensorEntry> entries = new ArrayList<>();
		try (TensorFile weights = TensorFile.open(file)) {
			weights.entries().forEach((each, entry) -> {
				entries.add(entry);
				values.put(each, weights.readFloats(each));
			});
		}
		entries.add(TensorEntry.of(name, ElementType.F32, WIDTH));
		values.put(name, new float[WIDTH]);
		try (SafetensorsWriter writer = SafetensorsWriter.create(file, entries)) {
			entries.forEach((entry) -> writer.write(entry.name(),
					FloatBuffer.wrap(values.getOrDefault(entry.name(), new float[0]))));
		}
	}

	private static float[] tensor(Path model, String name) {
		try (TensorFile weights = ModelDirectory.open(model).weights()) {
			return weights.readFloats(name);
		}
	}

	private static Map<String, float[]> weights(Path model) {
		Map<String, float[]> values = new TreeMap<>();
		try (TensorFile weights = ModelDirectory.open(model).weights()) {
			weights.entries().keySet().forEach((name) -> values.put(name, weights.readFloats(name)));
		}
		return values;
	}

}

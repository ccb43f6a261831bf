package io.calm.export;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.generation.EngineNoise;
import io.calm.generation.GenerationEngine;
import io.calm.input.InvalidInputException;
import io.calm.model.CalmConfig;
import io.calm.model.ModelConfigs;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import org.assertj.core.data.Offset;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.tensorflow.Result;
import org.tensorflow.SavedModelBundle;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * SavedModels in TensorFlow's own loader. The tests of {@code calm-mlflow} open them in
 * Python.
 */
class SavedModelExportTest {

	private static final AutoencoderConfig AUTOENCODER = TinyModel.autoencoder().build();

	private static final int SIZE = AUTOENCODER.patchSize();

	/** Products of more rows are summed in another order. */
	private static final Offset<Float> ROUNDING = Offset.offset(1e-5f);

	private final Path directory;

	SavedModelExportTest(@TempDir Path directory) {
		this.directory = directory;
	}

	private enum Model {

		/** With copies and lead tokens. */
		ENERGY(TinyModel.calm()), ENERGY_OF_THE_PAPER(TinyModel.calm().copySize(0).leadTokens(0)),
		FLOW(TinyModel.calm().flowHead((head) -> head.steps(3))),
		DIFFUSION(TinyModel.calm().diffusionHead((head) -> head.steps(3)));

		private final CalmConfig config;

		Model(CalmConfig.Builder builder) {
			this.config = builder.build(AUTOENCODER);
		}

	}

	@ParameterizedTest
	@EnumSource
	void sameTokensAsTheEngineForTheSameNoise(Model kind) throws IOException {
		Path model = this.directory.resolve("model");
		TinyModel.write(model, kind.config, AUTOENCODER, 0.5f, 0);
		Path target = this.directory.resolve("saved");
		assertThat(SavedModelExport.write(model, target)).containsExactly("encode", "decode", "next_patches",
				"next_patches_seeded");
		assertThat(target.resolve("assets.extra/config.json")).hasSameBinaryContentAs(model.resolve("config.json"));
		compareWithTheEngine(model, target);
	}

	/**
	 * A prompt of one patch and one of three, whose texts grow by three more; alone and
	 * three side by side.
	 */
	private static void compareWithTheEngine(Path model, Path target) {
		long[] seeds = { 1, 2, 3 };
		int drawn = 3;
		CalmConfig config = config(model);
		try (GenerationEngine engine = GenerationEngine.open(model, (options) -> options.program(TinyModel.PROGRAM));
				SavedModelBundle saved = SavedModelBundle.load(target.toString(), "serve")) {
			for (String prompt : List.of("cat", "the cat sat")) {
				List<int[]> texts = LongStream.of(seeds).mapToObj((seed) -> text(engine, prompt, seed, drawn)).toList();
				assertThat(texts.get(0)).isNotEqualTo(texts.get(1));
				for (int step = 0; step < drawn; step++) {
					int length = texts.get(0).length - (drawn - step) * SIZE;
					int position = length / SIZE - 1;
					float[][] noises = LongStream.of(seeds)
						.mapToObj((seed) -> EngineNoise.after(config, seed, position))
						.toArray(float[][]::new);
					int[][] begun = texts.stream().map((text) -> Arrays.copyOf(text, length)).toArray(int[][]::new);
					int[] expected = texts.stream()
						.flatMapToInt((text) -> IntStream.of(Arrays.copyOfRange(text, length, length + SIZE)))
						.toArray();
					assertThat(nextPatches(saved, begun, noises)).containsExactly(expected);
					assertThat(nextPatches(saved, new int[][] { begun[1] }, new float[][] { noises[1] }))
						.containsExactly(Arrays.copyOfRange(expected, SIZE, 2 * SIZE));
				}
			}
		}
	}

	/** BOS, a prompt that fills its patches with it, and what the engine adds. */
	private static int[] text(GenerationEngine engine, String prompt, long seed, int patches) {
		ByteTokenizer tokenizer = new ByteTokenizer();
		int[] added = engine.generate(prompt, (request) -> request.seed(seed).maxNewTokens(patches * SIZE))
			.stream()
			.flatMapToInt((chunk) -> IntStream.of(chunk.tokens()))
			.toArray();
		assertThat(added).hasSize(patches * SIZE);
		return IntStream
			.concat(IntStream.of(tokenizer.bosId()),
					IntStream.concat(IntStream.of(tokenizer.encode(prompt)), IntStream.of(added)))
			.toArray();
	}

	private static int[] nextPatches(SavedModelBundle saved, int[][] texts, float[][] noises) {
		float[] noise = new float[noises.length * noises[0].length];
		for (int i = 0; i < noises.length; i++) {
			System.arraycopy(noises[i], 0, noise, i * noises[i].length, noises[i].length);
		}
		try (TInt32 tokens = tokens(texts);
				TFloat32 fed = TFloat32.tensorOf(Shape.of(noises.length, 1, noises[0].length), DataBuffers.of(noise));
				Result result = saved.function("next_patches").call(Map.of("tokens", tokens, "noise", fed))) {
			TInt32 patches = (TInt32) result.get("patches").orElseThrow();
			assertThat(patches.shape()).isEqualTo(Shape.of(texts.length, 1, SIZE));
			return ints(patches);
		}
	}

	private static TInt32 tokens(int[][] texts) {
		return TInt32.tensorOf(Shape.of(texts.length, texts[0].length),
				DataBuffers.of(Stream.of(texts).flatMapToInt(IntStream::of).toArray()));
	}

	private static int[] ints(TInt32 tensor) {
		int[] values = new int[(int) tensor.size()];
		tensor.asRawTensor().data().asInts().read(values);
		return values;
	}

	private static float[] floats(Tensor tensor) {
		float[] values = new float[(int) tensor.shape().size()];
		tensor.asRawTensor().data().asFloats().read(values);
		return values;
	}

	private static CalmConfig config(Path model) {
		ModelDirectory opened = ModelDirectory.open(model);
		try (TensorFile weights = opened.weights()) {
			return ModelConfigs.calm(opened, weights);
		}
	}

	/** Each text has draws of its own, and seeds repeat them. */
	@Test
	void drawsFromSeeds() {
		Path model = this.directory.resolve("model");
		TinyModel.write(model, AUTOENCODER, 0.5f, 1);
		Path target = this.directory.resolve("saved");
		SavedModelExport.write(model, target);
		int[][] texts = { { 1, 5, 6, 7 }, { 1, 5, 6, 7 } };
		try (SavedModelBundle saved = SavedModelBundle.load(target.toString(), "serve")) {
			int[] first = nextPatches(saved, texts, 1, 50);
			assertThat(nextPatches(saved, texts, 1, 50)).containsExactly(first);
			assertThat(nextPatches(saved, texts, 2, 50)).isNotEqualTo(first);
			assertThat(Arrays.copyOf(first, 50 * SIZE)).isNotEqualTo(Arrays.copyOfRange(first, 50 * SIZE, 100 * SIZE));
			// as different as those of one text
			assertThat(IntStream.range(0, 50).map((i) -> first[i * SIZE]).distinct().count()).isGreaterThan(5);
		}
	}

	private static int[] nextPatches(SavedModelBundle saved, int[][] texts, long seed, int draws) {
		Map<String, Tensor> inputs = new HashMap<>();
		try (TInt32 tokens = tokens(texts);
				TInt64 seeds = TInt64.vectorOf(seed, 0);
				TInt32 count = TInt32.scalarOf(draws)) {
			inputs.put("tokens", tokens);
			inputs.put("seed", seeds);
			inputs.put("draws", count);
			try (Result result = saved.function("next_patches_seeded").call(inputs)) {
				TInt32 patches = (TInt32) result.get("patches").orElseThrow();
				assertThat(patches.shape()).isEqualTo(Shape.of(texts.length, draws, SIZE));
				return ints(patches);
			}
		}
	}

	/** What is encoded is decoded, whatever stands beside it. */
	@Test
	void encodesAndDecodes() {
		Path model = this.directory.resolve("model");
		TinyModel.write(model, AUTOENCODER, 0.5f, 1);
		Path target = this.directory.resolve("saved");
		SavedModelExport.write(model, target);
		int latent = AUTOENCODER.latentSize();
		try (SavedModelBundle saved = SavedModelBundle.load(target.toString(), "serve")) {
			Latents three = encode(saved,
					new int[][] { { 1, 5, 6, 7, 9, 9, 8, 8 }, { 1, 2, 3, 4, 5, 6, 7, 8 }, { 9, 9, 8, 8, 1, 5, 6, 7 } });
			Latents alone = encode(saved, new int[][] { { 9, 9, 8, 8 } });
			assertThat(three.mean).hasSize(3 * 2 * latent);
			assertThat(Arrays.copyOfRange(three.mean, latent, 2 * latent)).containsExactly(alone.mean, ROUNDING);
			assertThat(Arrays.copyOfRange(three.mean, 4 * latent, 5 * latent)).containsExactly(alone.mean, ROUNDING);
			assertThat(Arrays.copyOfRange(three.logDeviation, 4 * latent, 5 * latent))
				.containsExactly(alone.logDeviation, ROUNDING);
			assertThat(alone.logDeviation).isNotEqualTo(alone.mean);
			try (TFloat32 latents = TFloat32.tensorOf(Shape.of(3, 2, latent), DataBuffers.of(three.mean));
					Result result = saved.function("decode").call(Map.of("latents", latents))) {
				TInt32 tokens = (TInt32) result.get("tokens").orElseThrow();
				assertThat(tokens.shape()).isEqualTo(Shape.of(3, 2L * SIZE));
				int[] decoded = ints(tokens);
				assertThat(Arrays.copyOfRange(decoded, 4, 8)).containsExactly(Arrays.copyOfRange(decoded, 16, 20))
					.isNotEqualTo(Arrays.copyOf(decoded, 4));
			}
		}
	}

	private record Latents(float[] mean, float[] logDeviation) {
	}

	private static Latents encode(SavedModelBundle saved, int[][] texts) {
		try (TInt32 tokens = tokens(texts); Result result = saved.function("encode").call(Map.of("tokens", tokens))) {
			return new Latents(floats(result.get("mean").orElseThrow()),
					floats(result.get("log_deviation").orElseThrow()));
		}
	}

	@Test
	void baselineHasTheTokensOfTheEngine() {
		Path model = this.directory.resolve("baseline");
		TinyModel.write(model, TinyModel.baseline(259, 0), 1);
		Path target = this.directory.resolve("saved");
		assertThat(SavedModelExport.write(model, target)).containsExactly("next_tokens");
		try (GenerationEngine engine = GenerationEngine.open(model, (options) -> options.program(TinyModel.PROGRAM));
				SavedModelBundle saved = SavedModelBundle.load(target.toString(), "serve")) {
			for (List<String> prompts : List.of(List.of("mat"), List.of("the cat", "the mat", "it rain"))) {
				List<Integer> expected = new ArrayList<>();
				prompts.forEach((prompt) -> expected
					.add(engine.generate(prompt, (request) -> request.temperature(0).maxNewTokens(1))
						.iterator()
						.next()
						.tokens()[0]));
				int[][] texts = prompts.stream()
					.map((prompt) -> IntStream.concat(IntStream.of(1), IntStream.of(new ByteTokenizer().encode(prompt)))
						.toArray())
					.toArray(int[][]::new);
				try (TInt32 tokens = tokens(texts);
						Result result = saved.function("next_tokens").call(Map.of("tokens", tokens))) {
					float[] logits = floats(result.get("logits").orElseThrow());
					assertThat(IntStream.range(0, texts.length)
						.map((row) -> IntStream.range(0, 259)
							.reduce((a, b) -> (logits[row * 259 + b] > logits[row * 259 + a]) ? b : a)
							.orElseThrow())
						.boxed()).containsExactlyElementsOf(expected);
				}
			}
		}
	}

	/** It would be half a SavedModel, or somebody's files. */
	@Test
	void replacesNothing() throws IOException {
		Path model = this.directory.resolve("model");
		TinyModel.write(model, AUTOENCODER, 0.5f, 1);
		Path target = Files.createDirectory(this.directory.resolve("target"));
		Path mine = Files.writeString(target.resolve("mine.txt"), "mine");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> SavedModelExport.write(model, target))
			.withMessageContaining("target is not an empty directory; choose another one");
		assertThat(mine).hasContent("mine");
		Path damaged = this.directory.resolve("damaged");
		TinyModel.write(damaged, AUTOENCODER, 0.5f, 1);
		Files.writeString(damaged.resolve("config.json"), "{}");
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> SavedModelExport.write(damaged, this.directory.resolve("other")));
		try (Stream<Path> left = Files.list(this.directory)) {
			assertThat(left.map((path) -> path.getFileName().toString())).containsExactlyInAnyOrder("model", "target",
					"damaged");
		}
	}

	/** TensorFlow's own text, XLA's marks, or what only this library has. */
	@Test
	void graphHasNoMarksForCompilers() throws IOException {
		Path model = this.directory.resolve("model");
		TinyModel.write(model, AUTOENCODER, 0.5f, 1);
		Path target = this.directory.resolve("saved");
		SavedModelExport.writeBesideWeights(model, target);
		org.tensorflow.proto.SavedModel description = org.tensorflow.proto.SavedModel
			.parseFrom(Files.readAllBytes(target.resolve("saved_model.pb")));
		assertThat(description.getMetaGraphs(0).getGraphDef().getNodeList())
			.allSatisfy((node) -> assertThat(node.getAttrMap().keySet()).noneMatch((key) -> key.startsWith("_Xla")));
	}

}

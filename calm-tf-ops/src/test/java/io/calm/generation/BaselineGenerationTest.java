package io.calm.generation;

import java.io.IOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.function.Consumer;
import java.util.stream.IntStream;

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
import io.calm.model.BackboneLayer;
import io.calm.model.BaselineConfig;
import io.calm.model.BaselineTransformer;
import io.calm.model.ModelFiles;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/** The baseline Transformer in the engine. */
class BaselineGenerationTest {

	private static final int CONTEXT = 24;

	private static final BaselineConfig CONFIG = TinyModel.baseline(new ByteTokenizer().vocabularySize(), 0);

	private static Path model;

	private static GenerationEngine engine;

	private static Uncached uncached;

	@BeforeAll
	static void open(@TempDir Path directory) {
		model = directory.resolve("model");
		// such that EOS comes up now and then
		TinyModel.write(model, CONFIG, 2);
		engine = engine(2);
		uncached = new Uncached(model);
	}

	@AfterAll
	static void close() {
		engine.close();
		uncached.program.close();
	}

	private static GenerationEngine engine(int slots) {
		return GenerationEngine.open(model,
				(options) -> options.slots(slots).queue(1000).context(CONTEXT).program(TinyModel.PROGRAM));
	}

	/** Prompts shorter and longer than what is taken in at once. */
	@ParameterizedTest
	@CsvSource({ "1, 1000, 1", "0, 1000, 1", "0.5, 1000, 1", "2, 1000, 1", "1, 3, 1", "1, 1000, 0.6", "0.7, 20, 0.8",
			"1, 1, 1", "1, 1000, 0.001" })
	void isWhatTheNetworkDrawsWithoutACache(double temperature, int topK, double topP) {
		Set<FinishReason> reasons = new HashSet<>();
		for (String prompt : List.of("", "a", "the cat sat", "the cat sat on the mat")) {
			for (long seed = 0; seed < 6; seed++) {
				List<Chunk> chunks = generate(prompt, seed,
						(request) -> request.temperature(temperature).topK(topK).topP(topP));
				int[] all = uncached.continuation(prompt, seed, temperature, topK, topP);
				int end = IntStream.range(0, all.length)
					.filter((i) -> all[i] == CONFIG.eosId())
					.findFirst()
					.orElse(all.length);
				assertThat(tokens(chunks)).as(prompt + ", seed " + seed).containsExactly(Arrays.copyOf(all, end));
				FinishReason reason = Objects.requireNonNull(chunks.get(chunks.size() - 1).finishReason());
				assertThat(reason).isEqualTo((end < all.length) ? FinishReason.END : FinishReason.LENGTH);
				reasons.add(reason);
			}
		}
		assertThat(reasons).contains(FinishReason.LENGTH);
	}

	/** Else the test above would not see the end of a document. */
	@Test
	void endsWhereTheModelEndsTheDocument() {
		long ended = IntStream.range(0, 40).filter((seed) -> generate("", seed, (request) -> {
		}).stream().anyMatch((chunk) -> chunk.finishReason() == FinishReason.END)).count();
		assertThat(ended).isBetween(1L, 39L);
	}

	@Test
	void drawsFromTheTemperedDistribution() {
		int draws = 4000;
		double[] expected = uncached.distribution(new int[] { CONFIG.bosId() }, 0.8, 1000, 0.7);
		int[] counts = new int[expected.length];
		try (GenerationEngine many = engine(16)) {
			List<GenerationStream> streams = new ArrayList<>();
			for (int i = 0; i < draws; i++) {
				long seed = i;
				streams
					.add(many.generate("", (request) -> request.maxNewTokens(1).seed(seed).temperature(0.8).topP(0.7)));
				if (streams.size() == 500) {
					for (GenerationStream stream : streams) {
						int[] tokens = tokens(stream.stream().toList());
						counts[(tokens.length > 0) ? tokens[0] : CONFIG.eosId()]++;
					}
					streams.clear();
				}
			}
		}
		double chiSquare = 0;
		int cells = 0;
		double restExpected = 0;
		double restCount = 0;
		for (int i = 0; i < counts.length; i++) {
			if (expected[i] == 0) {
				assertThat(counts[i]).as("token " + i + " is ruled out").isZero();
			}
			else if (expected[i] * draws < 10) {
				restExpected += expected[i] * draws;
				restCount += counts[i];
			}
			else {
				chiSquare += Math.pow(counts[i] - expected[i] * draws, 2) / (expected[i] * draws);
				cells++;
			}
		}
		if (restExpected > 0) {
			chiSquare += Math.pow(restCount - restExpected, 2) / restExpected;
			cells++;
		}
		assertThat(cells).isGreaterThan(10);
		// mean plus four standard deviations
		assertThat(chiSquare).isLessThan(cells - 1 + 4 * Math.sqrt(2.0 * (cells - 1)));
	}

	/** With and without restrictions, which are another way through the graph. */
	@Test
	void aTextDoesNotDependOnItsNeighbours() {
		Random random = new Random(1);
		List<GenerationRequest> requests = new ArrayList<>();
		for (int i = 0; i < 40; i++) {
			long seed = i;
			int kind = i % 4;
			String prompt = "the cat sat on the mat".substring(0, random.nextInt(20));
			requests.add(GenerationRequest.of(prompt,
					(request) -> request.seed(seed)
						.maxNewTokens(1 + random.nextInt(20))
						.temperature(random.nextDouble() * 2)
						.topK((kind == 1) ? 5 : 1000)
						.topP((kind == 2) ? 0.7 : 1)));
		}
		List<String> alone = new ArrayList<>();
		try (GenerationEngine one = engine(1)) {
			requests.forEach((request) -> alone.add(one.submit(request).text()));
		}
		try (GenerationEngine five = engine(5)) {
			List<GenerationStream> streams = requests.stream().map(five::submit).toList();
			assertThat(streams.stream().map(GenerationStream::text).toList()).isEqualTo(alone);
		}
		assertThat(alone.stream().distinct().count()).as("texts differ").isGreaterThan(25);
	}

	@Test
	void aPromptMayFillAllButOneToken() {
		assertThat(generate("a".repeat(CONTEXT - 2), 0, (request) -> request.temperature(0))).hasSizeBetween(1, 2);
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> generate("a".repeat(CONTEXT - 1), 0, (request) -> {
			}))
			.withMessageContaining("24 tokens long, BOS included, where the context is 24");
	}

	@ParameterizedTest
	@CsvSource({ "-0.1, 1, 1, temperature is -0.1", "2.1, 1, 1, temperature is 2.1", "NaN, 1, 1, temperature is NaN",
			"1, 0, 1, top-k is 0", "1, 1, 0, top-p is 0.0", "1, 1, 1.01, top-p is 1.01" })
	void refusesWhatNoModelCanDo(double temperature, int topK, double topP, String message) {
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> generate("", 0, (request) -> request.temperature(temperature).topK(topK).topP(topP)))
			.withMessageContaining(message);
	}

	@ParameterizedTest
	@CsvSource({ "0, 1, temperature", "1.5, 1, temperature", "1, 0.9, top-p" })
	void aCalmModelRefusesWhatOnlyTheBaselineCanDo(double temperature, double topP, String message,
			@TempDir Path directory) {
		TinyModel.write(directory.resolve("calm"), TinyModel.autoencoder().build(), 0.25f, 1);
		try (GenerationEngine calm = GenerationEngine.open(directory.resolve("calm"),
				(options) -> options.program(TinyModel.PROGRAM))) {
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> calm.generate("", (request) -> request.temperature(temperature).topP(topP)))
				.withMessageContaining(message);
			assertThat(calm.status().accepted()).isZero();
		}
	}

	/** As models that were trained to answer have it. */
	@Test
	void endsAtEveryEndOfTheConfiguration(@TempDir Path directory) throws IOException {
		Path copy = directory.resolve("copy");
		TinyModel.write(copy, CONFIG, 0);
		List<Chunk> whole = generate(copy, "the cat sat");
		int second = whole.get(2).tokens()[0];
		int third = whole.get(3).tokens()[0];
		change(copy, "\"eos_token_id\": 2", "\"eos_token_id\": [2, " + third + "]");
		assertThat(tokens(generate(copy, "the cat sat")))
			.containsExactly(Arrays.copyOf(tokens(whole), indexOf(tokens(whole), third)));
		Files.writeString(copy.resolve("generation_config.json"), "{\"eos_token_id\": " + second + "}");
		List<Chunk> ended = generate(copy, "the cat sat");
		assertThat(tokens(ended)).containsExactly(
				Arrays.copyOf(tokens(whole), Math.min(indexOf(tokens(whole), second), indexOf(tokens(whole), third))));
		assertThat(ended.get(ended.size() - 1).finishReason()).isEqualTo(FinishReason.END);
	}

	private static int indexOf(int[] tokens, int token) {
		return IntStream.range(0, tokens.length).filter((i) -> tokens[i] == token).findFirst().orElseThrow();
	}

	@Test
	void aModelWithoutPadWrites(@TempDir Path directory) throws IOException {
		Path copy = directory.resolve("copy");
		TinyModel.write(copy, CONFIG, 0);
		List<Chunk> whole = generate(copy, "the cat sat");
		change(copy, "\"pad_token_id\": 0,", "");
		assertThat(tokens(generate(copy, "the cat sat"))).containsExactly(tokens(whole));
		// as Tokenizer.load adds one: with an id that the model has not
		Path config = copy.resolve("tokenizer_config.json");
		Files.writeString(config,
				Files.readString(config).replace("\"pad_token\":\"<|pad|>\"", "\"pad_token\":\"<|eos|>\""));
		assertThat(tokens(generate(copy, "the cat sat"))).containsExactly(tokens(whole));
	}

	/** As many published models have it: a multiple of 8, 64 or 128 for fast products. */
	@Test
	void rowsBehindTheVocabularyAreNeverDrawn(@TempDir Path directory) throws IOException {
		Path copy = directory.resolve("copy");
		TinyModel.write(copy, CONFIG, 0);
		Consumer<GenerationRequest.Builder> restricted = (request) -> request.topK(200);
		int[] whole = tokens(generate(copy, "the cat sat"));
		int[] likely = tokens(generate(copy, "the cat sat", restricted));
		int filled = CONFIG.vocabularySize() + 5;
		assertThat(filled % 8).isZero();
		fillUp(copy, filled);
		assertThat(tokens(generate(copy, "the cat sat"))).containsExactly(whole);
		assertThat(tokens(generate(copy, "the cat sat", restricted))).containsExactly(likely);
		fillUp(copy, filled + 1);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> generate(copy, "the cat sat"))
			.withMessageContaining("its tokenizer has 259 ids and its model 265");
	}

	/** Adds rows that would be drawn often. */
	private static void fillUp(Path model, int rows) throws IOException {
		Path weights = model.resolve("model.safetensors");
		Path before = Files.move(weights, model.resolve("before.safetensors"));
		try (TensorFile from = TensorFile.open(before)) {
			List<TensorEntry> entries = from.entries()
				.values()
				.stream()
				.map((entry) -> entry.name().matches("lm_head.weight|model.embed_tokens.weight")
						? TensorEntry.of(entry.name(), entry.type(), rows, entry.shape().get(1)) : entry)
				.toList();
			try (SafetensorsWriter to = SafetensorsWriter.create(weights, entries)) {
				for (TensorEntry entry : entries) {
					float[] values = from.readFloats(entry.name());
					float[] filled = Arrays.copyOf(values, Math.toIntExact(entry.elements()));
					for (int i = values.length; i < filled.length; i++) {
						filled[i] = 100 * values[i % CONFIG.backbone().hiddenSize()];
					}
					to.write(entry.name(), FloatBuffer.wrap(filled));
				}
			}
		}
		Files.delete(before);
		Path config = model.resolve("config.json");
		Files.writeString(config,
				Files.readString(config).replaceFirst("\"vocab_size\": \\d+", "\"vocab_size\": " + rows));
	}

	@Test
	void theEmbeddingMayBeTheOutputToo(@TempDir Path directory) throws IOException {
		Path copy = directory.resolve("copy");
		TinyModel.write(copy, CONFIG, 0);
		int[] untied = tokens(generate(copy, "the cat sat"));
		Path weights = copy.resolve("model.safetensors");
		Path all = Files.move(weights, directory.resolve("all.safetensors"));
		try (TensorFile from = TensorFile.open(all)) {
			List<TensorEntry> entries = from.entries()
				.values()
				.stream()
				.filter((entry) -> !entry.name().equals("lm_head.weight"))
				.toList();
			try (SafetensorsWriter to = SafetensorsWriter.create(weights, entries)) {
				entries.forEach((entry) -> to.write(entry.name(), FloatBuffer.wrap(from.readFloats(entry.name()))));
			}
		}
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> generate(copy, "the cat sat"))
			.withMessageContaining("tie_word_embeddings is not true, and there is no tensor lm_head.weight");
		change(copy, "\"tie_word_embeddings\": false", "\"tie_word_embeddings\": true");
		assertThat(tokens(generate(copy, "the cat sat"))).isNotEmpty().isNotEqualTo(untied);
	}

	private static void change(Path model, String from, String to) throws IOException {
		Path file = model.resolve("config.json");
		String before = Files.readString(file);
		assertThat(before).contains(from);
		Files.writeString(file, before.replace(from, to));
	}

	private static List<Chunk> generate(Path model, String prompt) {
		return generate(model, prompt, (request) -> {
		});
	}

	private static List<Chunk> generate(Path model, String prompt, Consumer<GenerationRequest.Builder> sampling) {
		try (GenerationEngine engine = GenerationEngine.open(model,
				(options) -> options.slots(1).context(CONTEXT).program(TinyModel.PROGRAM))) {
			return engine.generate(prompt, (request) -> sampling.accept(request.maxNewTokens(1000))).stream().toList();
		}
	}

	private static List<Chunk> generate(String prompt, long seed, Consumer<GenerationRequest.Builder> options) {
		return engine.generate(prompt, (request) -> {
			request.maxNewTokens(1000).seed(seed);
			options.accept(request);
		}).stream().toList();
	}

	private static int[] tokens(List<Chunk> chunks) {
		return chunks.stream().flatMapToInt((chunk) -> Arrays.stream(chunk.tokens())).toArray();
	}

	/** The network over the whole text again for every token. */
	private static final class Uncached {

		private final Program program;

		private final Input<TInt32, int[]> tokens;

		private final Fetch<float[]> logits;

		private final EntryPoint predict;

		Uncached(Path directory) {
			try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM);
					TensorFile weights = ModelDirectory.open(directory).weights()) {
				BaselineTransformer baseline = new BaselineTransformer(builder.network(), CONFIG);
				this.tokens = builder.ints(CONTEXT, 1);
				Operand<TFloat32> hidden = baseline.embed(this.tokens.value());
				for (BackboneLayer layer : baseline.layers(builder.network().tf().constant(new int[1][CONTEXT]))) {
					hidden = layer.function().apply(hidden);
				}
				this.logits = Fetch.floats(baseline.logits(hidden));
				this.predict = builder.entryPoint().fetching(this.logits);
				this.program = builder.build();
				ModelFiles.load(this.program, this.program.variables((name) -> true), directory, weights);
			}
		}

		/** Of the next token, computed the long way. */
		double[] distribution(int[] text, double temperature, int topK, double topP) {
			int vocabulary = CONFIG.vocabularySize();
			float[] last;
			try (Call call = this.program.call(this.predict).feed(this.tokens, Arrays.copyOf(text, CONTEXT)).run()) {
				last = Arrays.copyOfRange(call.get(this.logits), (text.length - 1) * vocabulary,
						text.length * vocabulary);
			}
			List<Integer> order = IntStream.range(0, vocabulary)
				.boxed()
				.sorted(Comparator.comparing((Integer token) -> -last[token]))
				.toList();
			double[] weights = new double[vocabulary];
			for (int token : order.subList(0, Math.min(topK, vocabulary))) {
				weights[token] = (temperature == 0) ? ((token == order.get(0)) ? 1 : 0)
						: Math.exp((last[token] - last[order.get(0)]) / temperature);
			}
			double total = Arrays.stream(weights).sum();
			double before = 0;
			double left = 0;
			for (int token : order) {
				double weight = weights[token];
				weights[token] = (before < topP * total) ? weight : 0;
				before += weight;
				left += weights[token];
			}
			double sum = left;
			return Arrays.stream(weights).map((weight) -> weight / sum).toArray();
		}

		/** Up to the end of the context, beyond any EOS. */
		int[] continuation(String prompt, long seed, double temperature, int topK, double topP) {
			int[] ids = new ByteTokenizer().encode(prompt);
			int[] text = new int[CONTEXT + 1];
			text[0] = CONFIG.bosId();
			System.arraycopy(ids, 0, text, 1, ids.length);
			for (int position = ids.length; position < CONTEXT; position++) {
				double[] next = distribution(Arrays.copyOf(text, position + 1), temperature, topK, topP);
				double rest = Slot.random(seed, position, Slot.NOISE).nextFloat();
				int token = 0;
				while (rest >= next[token]) {
					rest -= next[token++];
				}
				text[position + 1] = token;
			}
			return Arrays.copyOfRange(text, ids.length + 1, text.length);
		}

	}

}

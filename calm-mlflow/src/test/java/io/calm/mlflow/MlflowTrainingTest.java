package io.calm.mlflow;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Collectors;
import java.util.stream.Stream;

import com.google.gson.JsonObject;
import io.calm.Calm;
import io.calm.generation.GenerationEngine;
import io.calm.graph.ProgramOptions;
import io.calm.mlflow.MlflowOptions.Checkpoints;
import io.calm.text.ByteTokenizer;
import io.calm.text.Corpus;
import io.calm.training.Phase;
import io.calm.training.Sample;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingStart;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.mlflow.api.proto.Service.Metric;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunStatus;

import static io.calm.mlflow.FakeTraining.AUTOENCODER;
import static io.calm.mlflow.FakeTraining.LANGUAGE_MODEL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * A real training, and processes that end before their training does.
 */
@ExtendWith(MlflowServer.class)
class MlflowTrainingTest {

	private final String experiment = "training-" + UUID.randomUUID();

	private final URI server;

	private final Path directory;

	MlflowTrainingTest(URI server, @TempDir Path directory) {
		this.server = server;
		this.directory = directory;
	}

	private Tracked tracked() {
		return Tracked.of(this.server.toString(), this.experiment);
	}

	@Test
	void fromTextToARegisteredModel() throws IOException {
		Path text = Files.writeString(this.directory.resolve("corpus.txt"),
				"The quick brown fox jumps over the lazy dog. ".repeat(60));
		Path output = this.directory.resolve("model");
		MlflowListener listener = MlflowListener.of((options) -> options.trackingUri(this.server.toString())
			.experiment(this.experiment)
			.systemMetricsEvery(Duration.ofNanos(1))
			.checkpoints(Checkpoints.ALL)
			.closeTimeout(Duration.ofMinutes(1)));
		Heard heard = new Heard();
		try (listener; ByteTokenizer tokenizer = new ByteTokenizer()) {
			Calm.train((training) -> training.corpus(text)
				.evaluation(Corpus.of(text))
				.tokenizer(tokenizer)
				.program(ProgramOptions.DEFAULT)
				.autoencoder((shape) -> shape.latentSize(8).hiddenSize(64).intermediateSize(64),
						(options) -> options.steps(4).batch(4).patches(16).evaluateEvery(4))
				.languageModel("nano", (shape) -> {
				}, (options) -> options.steps(3).batch(4).patches(16).evaluateEvery(2).patience(5).seed(5))
				.samples(List.of("The quick", "The lazy"), (request) -> request.maxNewTokens(8))
				.listener(listener)
				.listener(heard)
				.output(output)).close();
		}
		Tracked tracked = tracked();
		assertThat(tracked.training().getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		for (Phase phase : List.of(AUTOENCODER, LANGUAGE_MODEL)) {
			assertThat(tracked.phase(phase).getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
			assertMetrics(tracked, phase, heard.metrics.getOrDefault(phase, Map.of()));
			assertSystemMetrics(tracked, phase);
			assertParams(tracked, phase, heard.settings.getOrDefault(phase, Map.of()));
			assertDataset(tracked, phase, heard.settings.getOrDefault(phase, Map.of()));
			assertArtifacts(tracked, phase, heard.artifacts.getOrDefault(phase, Map.of()));
		}
		// the names are promised: neither listener nor training may lose one
		assertThat(heard.metrics.get(AUTOENCODER)).containsOnlyKeys("loss", "learning_rate", "gradient_norm",
				"tokens_per_second", "step_milliseconds", "cross_entropy", "accuracy", "kl", "kl_collapsed_dimensions",
				"evaluation/accuracy", "evaluation/noisy_accuracy");
		assertThat(heard.metrics.get(LANGUAGE_MODEL)).containsKeys("loss", "learning_rate", "gradient_norm",
				"tokens_per_second", "step_milliseconds", "evaluation/brier_lm", "evaluation/brier_lm_error",
				"evaluation/brier_1", "evaluation/brier_2", "evaluation/brier_3", "evaluation/brier_4");
		assertThat(heard.artifacts.get(LANGUAGE_MODEL)).containsKeys("samples/step-00000002.txt",
				"samples/step-00000003.txt", "checkpoints/step-2/model.safetensors",
				"checkpoints/step-3/optimizer.safetensors", "checkpoints/best/model.safetensors");
		assertThat(heard.settings.get(LANGUAGE_MODEL)).containsKeys("seed", "steps", "precision", "device",
				"vocab_size", "tensorflow_version", "learning_rate", "weight_decay", "data_digest");
		assertThat(tracked.artifacts(tracked.training())).isEmpty();
		assertThat(this.directory.resolve("mlflow-spool")).isEmptyDirectory();

		MlflowRegistry registry = MlflowRegistry.of(MlflowConnection.to(this.server.toString()),
				this.directory.resolve("cache"));
		String runId = listener.status().orElseThrow().runId().orElseThrow();
		assertThat(runId).isEqualTo(tracked.training().getInfo().getRunId());
		registry.register(this.experiment, output, (version) -> version.runId(runId).alias("champion"));
		Path loaded = registry.load("models:/" + this.experiment + "@champion");
		assertThat(loaded.resolve("model.safetensors")).hasSameBinaryContentAs(output.resolve("model.safetensors"));

		registry.setAlias(this.experiment, "champion", registry.register(this.experiment, output, (version) -> {
		}).version());
		assertThat(generatedElsewhere("models:/" + this.experiment + "@champion")).isEqualTo(generated(output));
	}

	private static void assertMetrics(Tracked tracked, Phase phase, Map<String, Map<Long, Double>> expected) {
		Run run = tracked.phase(phase);
		Map<String, Map<Long, Double>> there = new TreeMap<>();
		run.getData()
			.getMetricsList()
			.stream()
			.map(Metric::getKey)
			.filter((name) -> !name.startsWith("system/"))
			.forEach((name) -> there.put(name, tracked.curve(run, name)));
		assertThat(there).as(phase.toString()).isEqualTo(new TreeMap<>(expected));
	}

	/**
	 * Nobody else has seen these, but they must be possible, and of this training's
	 * steps.
	 */
	private static void assertSystemMetrics(Tracked tracked, Phase phase) {
		Run run = tracked.phase(phase);
		for (String name : List.of("cpu_utilization_percentage", "process_cpu_percentage",
				"system_memory_usage_megabytes", "process_memory_usage_megabytes", "jvm_heap_used_megabytes",
				"jvm_heap_committed_megabytes")) {
			Map<Long, Double> curve = tracked.curve(run, "system/" + name);
			assertThat(curve).as(name).isNotEmpty();
			assertThat(curve.keySet()).as(name).allMatch((step) -> step >= 1 && step <= 4);
			double most = name.endsWith("percentage") ? 100 : 1e7;
			assertThat(curve.values()).as(name).allMatch((value) -> value >= 0 && value <= most);
		}
		// TensorFlow alone has this much
		assertThat(tracked.curve(run, "system/process_memory_usage_megabytes").values())
			.allMatch((megabytes) -> megabytes > 100);
	}

	private static void assertParams(Tracked tracked, Phase phase, Map<String, Object> settings) {
		Map<String, String> expected = new TreeMap<>();
		settings.forEach((name, value) -> expected.put(name, (value instanceof List<?> list)
				? list.stream().map(String::valueOf).collect(Collectors.joining(",")) : String.valueOf(value)));
		assertThat(new TreeMap<>(Tracked.params(tracked.phase(phase)))).as(phase.toString()).isEqualTo(expected);
	}

	private static void assertDataset(Tracked tracked, Phase phase, Map<String, Object> settings) {
		JsonObject input = tracked.rest("runs/get?run_id=" + tracked.phase(phase).getInfo().getRunId())
			.getAsJsonObject("run")
			.getAsJsonObject("inputs")
			.getAsJsonArray("dataset_inputs")
			.get(0)
			.getAsJsonObject()
			.getAsJsonObject("dataset");
		String digest = String.valueOf(settings.get("data_digest"));
		assertThat(input.get("name").getAsString()).isEqualTo("corpus");
		assertThat(digest).startsWith(input.get("digest").getAsString());
		assertThat(input.get("source").getAsString()).isEqualTo("{\"sha256\":\"" + digest + "\"}");
	}

	private static void assertArtifacts(Tracked tracked, Phase phase, Map<String, byte[]> expected) {
		Map<String, byte[]> there = tracked.artifacts(tracked.phase(phase));
		assertThat(there).as(phase.toString()).containsOnlyKeys(expected.keySet());
		expected.forEach((path, bytes) -> assertThat(there.get(path)).as(path).isEqualTo(bytes));
	}

	/** What the training said, to be compared with what the server knows; by phase. */
	private static final class Heard implements TrainingListener {

		private final Map<Phase, Map<String, Object>> settings = new HashMap<>();

		private final Map<Phase, Map<String, Map<Long, Double>>> metrics = new HashMap<>();

		private final Map<Phase, Map<String, byte[]>> artifacts = new HashMap<>();

		@Override
		public void onStart(TrainingStart start) {
			Map<String, Object> settings = new HashMap<>(start.settings());
			settings.put("data_digest", start.dataDigest());
			this.settings.put(start.phase(), settings);
		}

		@Override
		public void onStep(StepMetrics metrics) {
			add(metrics.phase(), metrics.step(), "loss", metrics.loss());
			add(metrics.phase(), metrics.step(), "learning_rate", metrics.learningRate());
			add(metrics.phase(), metrics.step(), "gradient_norm", metrics.gradientNorm());
			add(metrics.phase(), metrics.step(), "tokens_per_second", metrics.tokensPerSecond());
			add(metrics.phase(), metrics.step(), "step_milliseconds", metrics.milliseconds());
			metrics.more().forEach((name, value) -> add(metrics.phase(), metrics.step(), name, value));
		}

		@Override
		public void onEvaluation(Phase phase, long step, Map<String, Double> metrics) {
			metrics.forEach((name, value) -> add(phase, step, "evaluation/" + name, value));
		}

		private void add(Phase phase, long step, String name, double value) {
			this.metrics.computeIfAbsent(phase, (key) -> new HashMap<>())
				.computeIfAbsent(name, (key) -> new TreeMap<>())
				.put(step, value);
		}

		@Override
		public void onSamples(Phase phase, long step, List<Sample> samples) {
			assertThat(samples).extracting(Sample::prompt).containsExactly("The quick", "The lazy");
			assertThat(samples).extracting(Sample::text).doesNotContain("");
			String text = samples.stream()
				.map((sample) -> "Prompt: " + sample.prompt() + "\nText: " + sample.text() + "\n")
				.collect(Collectors.joining("\n"));
			artifacts(phase).put("samples/step-0000000" + step + ".txt", text.getBytes(StandardCharsets.UTF_8));
		}

		@Override
		public void onCheckpoint(Phase phase, long step, Path directory) {
			addCheckpoint(phase, "step-" + step, directory);
		}

		@Override
		public void onBest(Phase phase, long step, Path directory) {
			addCheckpoint(phase, "best", directory);
		}

		private void addCheckpoint(Phase phase, String name, Path directory) {
			try (Stream<Path> files = Files.list(directory)) {
				for (Path file : files.toList()) {
					artifacts(phase).put("checkpoints/" + name + "/" + file.getFileName(), Files.readAllBytes(file));
				}
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
		}

		private Map<String, byte[]> artifacts(Phase phase) {
			return this.artifacts.computeIfAbsent(phase, (key) -> new HashMap<>());
		}

	}

	/** As bytes, for a model of three steps writes what no terminal shows. */
	private static String generated(Path model) {
		try (GenerationEngine engine = Calm.open(model)) {
			String text = engine.generate("The quick", (request) -> request.seed(7).maxNewTokens(24)).text();
			assertThat(text).isNotEmpty();
			return Arrays.toString(text.getBytes(StandardCharsets.UTF_8));
		}
	}

	/** Generates with a model of the registry. */
	static final class Elsewhere {

		private Elsewhere() {
		}

		public static void main(String[] args) {
			Path model = MlflowRegistry.of(MlflowConnection.to(args[0]), Path.of(args[1])).load(args[2]);
			System.out.println("generated " + generated(model));
		}

	}

	private String generatedElsewhere(String uri) throws IOException {
		Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-cp",
				System.getProperty("java.class.path"), Elsewhere.class.getName(), this.server.toString(),
				this.directory.resolve("cache elsewhere").toString(), uri)
			.redirectError(ProcessBuilder.Redirect.INHERIT)
			.start();
		String out = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
		return out.lines()
			.filter((line) -> line.startsWith("generated "))
			.findFirst()
			.orElseThrow(() -> new AssertionError(out))
			.substring("generated ".length());
	}

	/** Begins a training and does not end it. */
	static final class Endless {

		private Endless() {
		}

		public static void main(String[] args) throws InterruptedException {
			MlflowListener listener = MlflowListener
				.of((options) -> options.trackingUri(args[0]).experiment(args[1]).sendEvery(Duration.ofMillis(20)));
			FakeTraining training = new FakeTraining(listener, Path.of(args[2]));
			training.start(LANGUAGE_MODEL, 1, 100);
			training.steps(LANGUAGE_MODEL, 1, 40, 100);
			await().atMost(Duration.ofMinutes(1)).until(() -> listener.status().orElseThrow().delivered() >= 40 * 6);
			System.out.println("running");
			Thread.sleep(Duration.ofHours(1).toMillis());
		}

	}

	private Process endless() throws IOException {
		Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
				"-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"),
				Endless.class.getName(), this.server.toString(), this.experiment, this.directory.toString())
			.redirectError(ProcessBuilder.Redirect.INHERIT)
			.start();
		BufferedReader out = process.inputReader(StandardCharsets.UTF_8);
		assertThat(out.readLine()).isEqualTo("running");
		return process;
	}

	private void goOn() {
		MlflowListener listener = MlflowListener.of((options) -> options.trackingUri(this.server.toString())
			.experiment(this.experiment)
			.closeTimeout(Duration.ofMinutes(1)));
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.start(LANGUAGE_MODEL, 31, 100);
		training.steps(LANGUAGE_MODEL, 31, 100, 100);
		listener.onEnd(LANGUAGE_MODEL, 100);
		listener.close();
		assertThat(tracked().runs()).hasSize(2);
		tracked().assertLosses(LANGUAGE_MODEL, 100);
		assertThat(tracked().training().getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		assertThat(tracked().phase(LANGUAGE_MODEL).getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
	}

	@Test
	void signalIsToldAndTheTrainingGoesOn() throws Exception {
		Process process = endless();
		process.destroy();
		process.waitFor();
		assertThat(tracked().training().getInfo().getStatus()).isEqualTo(RunStatus.KILLED);
		assertThat(tracked().phase(LANGUAGE_MODEL).getInfo().getStatus()).isEqualTo(RunStatus.KILLED);
		goOn();
	}

	@Test
	void processThatIsGoneAtOnce() throws Exception {
		Process process = endless();
		process.destroyForcibly();
		process.waitFor();
		tracked().assertLosses(LANGUAGE_MODEL, 40);
		goOn();
	}

}

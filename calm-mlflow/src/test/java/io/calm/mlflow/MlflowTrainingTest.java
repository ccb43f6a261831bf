package io.calm.mlflow;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Map;
import java.util.UUID;

import io.calm.Calm;
import io.calm.generation.GenerationEngine;
import io.calm.graph.ProgramOptions;
import io.calm.text.ByteTokenizer;
import io.calm.text.Corpus;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunStatus;

import static io.calm.mlflow.FakeTraining.AUTOENCODER;
import static io.calm.mlflow.FakeTraining.LANGUAGE_MODEL;
import static org.assertj.core.api.Assertions.assertThat;

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
			.closeTimeout(Duration.ofMinutes(1)));
		try (listener; ByteTokenizer tokenizer = new ByteTokenizer()) {
			Calm.train((training) -> training.corpus(text)
				.evaluation(Corpus.of(text))
				.tokenizer(tokenizer)
				.program(ProgramOptions.DEFAULT)
				.autoencoder((shape) -> shape.latentSize(8).hiddenSize(64).intermediateSize(64),
						(options) -> options.steps(4).batch(4).patches(16).evaluateEvery(4))
				.languageModel("nano", (shape) -> {
				}, (options) -> options.steps(3).batch(4).patches(16).evaluateEvery(3).seed(5))
				.listener(listener)
				.output(output)).close();
		}
		Tracked tracked = tracked();
		Run model = tracked.phase(LANGUAGE_MODEL);
		assertThat(tracked.training().getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		assertThat(tracked.curve(tracked.phase(AUTOENCODER), "loss")).containsOnlyKeys(1L, 2L, 3L, 4L);
		assertThat(tracked.curve(tracked.phase(AUTOENCODER), "evaluation/accuracy")).containsOnlyKeys(4L);
		assertThat(tracked.curve(model, "loss")).containsOnlyKeys(1L, 2L, 3L);
		assertThat(tracked.curve(model, "evaluation/brier_lm")).containsOnlyKeys(3L);
		assertThat(Tracked.params(model)).containsEntry("seed", "5")
			.containsEntry("steps", "3")
			.containsEntry("precision", "fp32")
			.containsKeys("vocab_size", "data_digest", "device")
			.doesNotContainKey("checkpoint_directory");
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
			while (listener.status().orElseThrow().delivered() < 40 * 6) {
				Thread.sleep(10);
			}
			System.out.println("running");
			Thread.sleep(Duration.ofHours(1).toMillis());
		}

	}

	private Process endless() throws IOException {
		Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
				"-Xmx256m", "-cp", System.getProperty("java.class.path"), Endless.class.getName(),
				this.server.toString(), this.experiment, this.directory.toString())
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

	@Test
	void curvesHoldABoundedNumberOfPoints() {
		Curves curves = new Curves();
		for (long step = 1; step <= 100_000; step++) {
			curves.add(new SpoolEntry.Metrics(LANGUAGE_MODEL, step, step, Map.of("loss", 1.0 / step, "kl", 0.5)));
		}
		assertThat(curves.points()).isBetween(1000, 2000);
	}

}

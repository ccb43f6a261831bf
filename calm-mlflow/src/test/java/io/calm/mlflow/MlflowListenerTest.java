package io.calm.mlflow;

import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.function.Consumer;
import java.util.stream.IntStream;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.mlflow.MlflowOptions.Checkpoints;
import io.calm.training.Phase;
import io.calm.training.Sample;
import io.calm.training.TrainingEnd;
import io.calm.training.TrainingEnd.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.mlflow.api.proto.Service.FileInfo;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunStatus;
import org.mlflow.tracking.MlflowClient;

import static io.calm.mlflow.FakeTraining.AUTOENCODER;
import static io.calm.mlflow.FakeTraining.LANGUAGE_MODEL;
import static org.assertj.core.api.Assertions.assertThat;

/**
 * What a real server knows after a training has been followed.
 */
@ExtendWith(MlflowServer.class)
class MlflowListenerTest {

	private final Path directory;

	private final String experiment = "listener-" + UUID.randomUUID();

	private final URI server;

	MlflowListenerTest(URI server, @TempDir Path directory) {
		this.directory = directory;
		this.server = server;
	}

	private MlflowListener listener(Consumer<MlflowOptions.Builder> more) {
		return MlflowListener.of((options) -> {
			options.trackingUri(this.server.toString())
				.experiment(this.experiment)
				.sendEvery(Duration.ofMillis(100))
				.closeTimeout(Duration.ofMinutes(1));
			more.accept(options);
		});
	}

	private MlflowListener listener() {
		return listener((options) -> {
		});
	}

	private Tracked tracked() {
		return Tracked.of(this.server.toString(), this.experiment);
	}

	@Test
	void tellsAllOfATraining() throws Exception {
		MlflowListener listener = listener(
				(options) -> options.run("my run").tag("team", "tickets").systemMetricsEvery(Duration.ofNanos(1)));
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.begin();
		training.phase(AUTOENCODER, 30);
		training.phase(LANGUAGE_MODEL, 40);
		training.end(Outcome.FINISHED);
		listener.close();

		Tracked tracked = tracked();
		assertThat(tracked.runs()).hasSize(3);
		Run parent = tracked.training();
		assertThat(parent.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		assertThat(Tracked.tags(parent)).containsEntry("mlflow.runName", "my run")
			.containsEntry("team", "tickets")
			.containsEntry("mlflow.user", System.getProperty("user.name"))
			.containsEntry("mlflow.source.type", "LOCAL")
			.containsKey("mlflow.source.name")
			.containsAllEntriesOf(Origin.tags());
		Run model = tracked.phase(LANGUAGE_MODEL);
		assertThat(model.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		assertThat(model.getInfo().getEndTime()).isGreaterThanOrEqualTo(model.getInfo().getStartTime());
		assertThat(Tracked.tags(model)).containsEntry("mlflow.runName", LANGUAGE_MODEL.toString());
		assertThat(Tracked.params(model)).isEqualTo(Map.of("architectures", "One,Two", "steps", "40", "learning_rate",
				"0.001", "data_digest", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"));
		tracked.assertLosses(AUTOENCODER, 30);
		tracked.assertLosses(LANGUAGE_MODEL, 40);
		for (String metric : List.of("learning_rate", "gradient_norm", "tokens_per_second", "step_milliseconds",
				"kl")) {
			assertThat(tracked.curve(model, metric)).as(metric).hasSize(40);
		}
		assertThat(tracked.curve(model, "learning_rate")).containsEntry(40L, 0.001 * 40);
		assertThat(tracked.curve(model, "evaluation/brier_lm")).isEqualTo(Map.of(40L, 7.5));
		assertThat(tracked.curve(tracked.phase(AUTOENCODER), "evaluation/accuracy")).isEqualTo(Map.of(30L, 0.75));
		assertThat(tracked.curve(model, "system/jvm_heap_used_megabytes")).isNotEmpty()
			.allSatisfy((step, megabytes) -> assertThat(megabytes).isPositive());
	}

	@Test
	void textsAreSentOnlyIfTheTrainingWasToldToWriteThem() throws Exception {
		MlflowListener listener = listener((options) -> {
		});
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.start(LANGUAGE_MODEL, 1, 20);
		training.steps(LANGUAGE_MODEL, 1, 20, 20);
		listener.onSamples(LANGUAGE_MODEL, 9, List.of(new Sample("One", " fish"), new Sample("Zw\u00f6lf\n", "")));
		listener.onSamples(LANGUAGE_MODEL, 20, List.of(new Sample("One", " bird")));
		listener.onEnd(LANGUAGE_MODEL, 20);
		listener.close();
		String run = tracked().phase(LANGUAGE_MODEL).getInfo().getRunId();
		MlflowApi api = new MlflowApi(MlflowConnection.to(this.server.toString()));
		assertThat(api.artifacts(run, "samples")).extracting(FileInfo::getPath)
			.containsExactly("samples/step-00000009.txt", "samples/step-00000020.txt");
		assertThat(artifact(run, "samples/step-00000009.txt")).asString(StandardCharsets.UTF_8)
			.isEqualTo("Prompt: One\nText:  fish\n\nPrompt: Zw\u00f6lf\n\nText: \n");
		assertThat(artifact(run, "samples/step-00000020.txt")).asString(StandardCharsets.UTF_8)
			.isEqualTo("Prompt: One\nText:  bird\n");
		assertThat(this.directory.resolve("mlflow-spool")).isEmptyDirectory();
	}

	@Test
	void baselineEndsItsTraining() {
		MlflowListener listener = listener();
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.phase(Phase.BASELINE, 3);
		training.phase(Phase.BASELINE, 4);
		listener.close();
		assertThat(tracked().runs()).hasSize(4)
			.allSatisfy((run) -> assertThat(run.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED));
	}

	@Test
	void trainingsAtTheSameTimeShareADataset() {
		// the server looks for a dataset, then adds it: some find none and add it twice
		List<MlflowListener> listeners = IntStream.range(0, 6).mapToObj((i) -> listener()).toList();
		listeners.forEach((listener) -> new FakeTraining(listener, this.directory).phase(LANGUAGE_MODEL, 2));
		listeners.forEach(MlflowListener::close);
		assertThat(listeners).allMatch((listener) -> listener.status().orElseThrow().complete());
		assertThat(tracked().runs()).hasSize(12);
	}

	@Test
	void timesAreThoseOfTheSteps() {
		long before = System.currentTimeMillis();
		MlflowListener listener = listener();
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.phase(LANGUAGE_MODEL, 3);
		long after = System.currentTimeMillis();
		listener.close();
		Tracked tracked = tracked();
		assertThat(tracked.client().getMetricHistory(tracked.phase(LANGUAGE_MODEL).getInfo().getRunId(), "loss"))
			.hasSize(3)
			.allSatisfy((metric) -> assertThat(metric.getTimestamp()).isBetween(before, after));
	}

	@Test
	void namesTheDataset() throws Exception {
		MlflowListener listener = listener((options) -> options.dataset("tickets"));
		new FakeTraining(listener, this.directory).phase(LANGUAGE_MODEL, 2);
		listener.close();
		JsonObject run = get("runs/get?run_id=" + tracked().phase(LANGUAGE_MODEL).getInfo().getRunId())
			.getAsJsonObject("run");
		JsonArray inputs = run.getAsJsonObject("inputs").getAsJsonArray("dataset_inputs");
		assertThat(inputs).hasSize(1);
		JsonObject dataset = inputs.get(0).getAsJsonObject().getAsJsonObject("dataset");
		assertThat(dataset.get("name").getAsString()).isEqualTo("tickets");
		assertThat(dataset.get("digest").getAsString()).isEqualTo("0123456789abcdef0123456789abcdef0123");
		assertThat(dataset.get("source_type").getAsString()).isEqualTo("calm");
		assertThat(dataset.get("source").getAsString())
			.isEqualTo("{\"sha256\":\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\"}");
		assertThat(inputs.get(0).getAsJsonObject().getAsJsonArray("tags").toString())
			.isEqualTo("[{\"key\":\"mlflow.data.context\",\"value\":\"training\"}]");
	}

	@Test
	void paramsKeepToTheLimits() {
		MlflowListener listener = listener();
		FakeTraining training = new FakeTraining(listener, this.directory);
		Map<String, Object> settings = new HashMap<>(training.settings(1));
		for (int i = 0; i < 250; i++) {
			settings.put("many/" + i, "\u00e4".repeat(5900));
		}
		settings.put("nested", Map.of("a", Map.of("b", 1)));
		settings.put("../odd?name: \u00fc", "x".repeat(7000));
		training.start(LANGUAGE_MODEL, 1, 1, settings, FakeTraining.DIGEST);
		training.steps(LANGUAGE_MODEL, 1, 1, 1);
		listener.onEnd(LANGUAGE_MODEL, 1);
		listener.close();
		Map<String, String> params = Tracked.params(tracked().phase(LANGUAGE_MODEL));
		assertThat(params).hasSize(250 + 4 + 2)
			.containsEntry("many/249", "\u00e4".repeat(5900))
			.containsEntry("nested.a.b", "1")
			.containsEntry("_/odd_name_ _", "x".repeat(6000));
		tracked().assertLosses(LANGUAGE_MODEL, 1);
	}

	@Test
	void numbersThatJsonLacksArriveToo() {
		MlflowListener listener = listener();
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.start(LANGUAGE_MODEL, 1, 2);
		listener.onEvaluation(LANGUAGE_MODEL, 1, Map.of("nan", Double.NaN, "infinite", Double.POSITIVE_INFINITY));
		listener.onEnd(LANGUAGE_MODEL, 2);
		listener.close();
		Run run = tracked().phase(LANGUAGE_MODEL);
		assertThat(tracked().curve(run, "evaluation/nan")).isEqualTo(Map.of(1L, Double.NaN));
		// the server's way to say infinite
		assertThat(tracked().curve(run, "evaluation/infinite").get(1L)).isGreaterThan(1e300);
	}

	@Test
	void failureIsATag() {
		MlflowListener listener = listener();
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.start(AUTOENCODER, 1, 10);
		training.steps(AUTOENCODER, 1, 3, 10);
		listener.onFailure(AUTOENCODER, new IllegalStateException("loss is NaN at https://joe:s3cret@example.org"));
		listener.close();
		for (Run run : List.of(tracked().training(), tracked().phase(AUTOENCODER))) {
			assertThat(run.getInfo().getStatus()).isEqualTo(RunStatus.FAILED);
			assertThat(Tracked.tags(run)).containsEntry("calm.error",
					"java.lang.IllegalStateException: loss is NaN at https://***@example.org");
		}
		tracked().assertLosses(AUTOENCODER, 3);
	}

	/** A phase has ended well, and what comes next cannot be trained. */
	@ParameterizedTest
	@EnumSource(Outcome.class)
	void wholeTrainingEndsAsItIsTold(Outcome outcome) {
		MlflowListener listener = listener();
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.begin();
		training.phase(AUTOENCODER, 2);
		listener.onTrainingEnd(new TrainingEnd(outcome,
				(outcome == Outcome.FAILED) ? new IllegalStateException("no more memory") : null));
		listener.close();
		assertThat(tracked().phase(AUTOENCODER).getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		Run run = tracked().training();
		assertThat(run.getInfo().getStatus()).isEqualTo(switch (outcome) {
			case FINISHED -> RunStatus.FINISHED;
			case INTERRUPTED, PAUSED -> RunStatus.KILLED;
			case FAILED -> RunStatus.FAILED;
		});
		assertThat(Tracked.tags(run).get("calm.error"))
			.isEqualTo((outcome == Outcome.FAILED) ? "java.lang.IllegalStateException: no more memory" : null);
	}

	@Test
	void interruptedTrainingIsKilled() {
		MlflowListener listener = listener();
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.start(AUTOENCODER, 1, 10);
		training.steps(AUTOENCODER, 1, 3, 10);
		Thread.currentThread().interrupt();
		listener.onEnd(AUTOENCODER, 3);
		assertThat(Thread.interrupted()).isTrue();
		listener.onFailure(AUTOENCODER, new IllegalStateException("interrupted"));
		listener.close();
		assertThat(tracked().training().getInfo().getStatus()).isEqualTo(RunStatus.KILLED);
		assertThat(tracked().phase(AUTOENCODER).getInfo().getStatus()).isEqualTo(RunStatus.KILLED);
	}

	@Test
	void trainingThatEndsEarlyBecauseItGetsNoBetterIsFinished() {
		MlflowListener listener = listener();
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.begin();
		for (Phase phase : List.of(AUTOENCODER, LANGUAGE_MODEL)) {
			training.start(phase, 1, 10);
			training.steps(phase, 1, 3, 10);
			listener.onEnd(phase, 3);
		}
		training.end(Outcome.FINISHED);
		listener.close();
		assertThat(tracked().runs()).hasSize(3)
			.allSatisfy((run) -> assertThat(run.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED));
	}

	@ParameterizedTest
	@EnumSource(Checkpoints.class)
	void sendsTheCheckpointsThatWereAskedFor(Checkpoints sent) throws Exception {
		MlflowListener listener = listener((options) -> options.checkpoints(sent));
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.start(LANGUAGE_MODEL, 1, 3);
		for (long step = 1; step <= 3; step++) {
			training.steps(LANGUAGE_MODEL, step, step, 3);
			Path checkpoint = training.writeCheckpoint(LANGUAGE_MODEL, "after " + step);
			listener.onCheckpoint(LANGUAGE_MODEL, step, checkpoint);
			if (step < 3) {
				listener.onBest(LANGUAGE_MODEL, step, checkpoint);
			}
			// as ModelDirectory does: a new file, not new content
			SpoolFile.deleteAll(checkpoint);
		}
		listener.onEnd(LANGUAGE_MODEL, 3);
		listener.close();
		Map<String, String> expected = switch (sent) {
			case NONE -> Map.of();
			case LAST -> Map.of("last", "after 3");
			case BEST -> Map.of("best", "after 2");
			case BEST_AND_LAST -> Map.of("last", "after 3", "best", "after 2");
			case ALL -> Map.of("step-1", "after 1", "step-2", "after 2", "step-3", "after 3", "best", "after 2");
		};
		Map<String, String> weights = new HashMap<>();
		tracked().artifacts(tracked().phase(LANGUAGE_MODEL)).forEach((path, bytes) -> {
			assertThat(path).matches("checkpoints/[^/]+/(config.json|model.safetensors)");
			if (path.endsWith("model.safetensors")) {
				weights.put(path.split("/")[1], new String(bytes, StandardCharsets.UTF_8));
			}
		});
		assertThat(weights).isEqualTo(expected);
		assertThat(this.directory.resolve("mlflow-spool")).isEmptyDirectory();
	}

	@Test
	void goesOnWithTheRunsOfATrainingThatGoesOn() {
		MlflowListener killed = listener();
		FakeTraining training = new FakeTraining(killed, this.directory);
		training.begin();
		training.phase(AUTOENCODER, 5);
		training.start(LANGUAGE_MODEL, 1, 60);
		training.steps(LANGUAGE_MODEL, 1, 37, 60);
		killed.close();
		assertThat(tracked().training().getInfo().getStatus()).isEqualTo(RunStatus.KILLED);

		// its last checkpoint was that of step 30
		MlflowListener resumed = listener();
		FakeTraining again = new FakeTraining(resumed, this.directory);
		again.begin();
		again.start(AUTOENCODER, 6, 5);
		resumed.onEnd(AUTOENCODER, 5);
		Map<String, Object> settings = again.settings(60);
		settings.put("learning_rate", 0.002);
		again.start(LANGUAGE_MODEL, 31, 60, settings, FakeTraining.DIGEST);
		again.steps(LANGUAGE_MODEL, 31, 60, 60);
		resumed.onEnd(LANGUAGE_MODEL, 60);
		again.end(Outcome.FINISHED);
		resumed.close();

		Tracked tracked = tracked();
		assertThat(tracked.runs()).hasSize(3);
		tracked.assertLosses(AUTOENCODER, 5);
		tracked.assertLosses(LANGUAGE_MODEL, 60);
		assertThat(tracked.training().getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		Run model = tracked.phase(LANGUAGE_MODEL);
		assertThat(model.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		assertThat(Tracked.params(model)).containsEntry("learning_rate", "0.001");
		assertThat(Tracked.tags(model)).containsEntry("calm.changed.learning_rate", "0.002");
	}

	@Test
	void goesOnWithARunByItsId() {
		MlflowListener killed = listener();
		FakeTraining training = new FakeTraining(killed, this.directory);
		training.start(LANGUAGE_MODEL, 1, 20);
		training.steps(LANGUAGE_MODEL, 1, 15, 20);
		killed.close();
		String runId = tracked().training().getInfo().getRunId();
		assertThat(killed.status().orElseThrow().runId()).contains(runId);

		// on another machine, where there is no spool
		MlflowListener resumed = listener(
				(options) -> options.runId(runId).spool(this.directory.resolve("another machine")));
		FakeTraining again = new FakeTraining(resumed, this.directory);
		again.start(LANGUAGE_MODEL, 11, 20);
		again.steps(LANGUAGE_MODEL, 11, 20, 20);
		resumed.onEnd(LANGUAGE_MODEL, 20);
		resumed.close();
		assertThat(tracked().runs()).hasSize(2);
		tracked().assertLosses(LANGUAGE_MODEL, 20);
		assertThat(tracked().training().getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
	}

	@Test
	void trainingThatBeginsAnewIsARunOfItsOwn() {
		for (int i = 0; i < 2; i++) {
			MlflowListener listener = listener();
			FakeTraining training = new FakeTraining(listener, this.directory);
			training.start(LANGUAGE_MODEL, 1, 20);
			training.steps(LANGUAGE_MODEL, 1, 2, 20);
			listener.close();
		}
		assertThat(tracked().runs()).hasSize(4);
	}

	@Test
	void sendsTheLastCheckpoint() throws Exception {
		MlflowListener listener = listener((options) -> options.checkpoints(Checkpoints.LAST));
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.start(LANGUAGE_MODEL, 1, 20);
		training.steps(LANGUAGE_MODEL, 1, 10, 20);
		listener.onCheckpoint(LANGUAGE_MODEL, 10, training.writeCheckpoint(LANGUAGE_MODEL, "old"));
		training.steps(LANGUAGE_MODEL, 11, 20, 20);
		// a training that is interrupted saves once more
		Thread.currentThread().interrupt();
		// as ModelDirectory does: a new file, not new content
		Files.delete(training.checkpoints(LANGUAGE_MODEL).resolve("model.safetensors"));
		listener.onCheckpoint(LANGUAGE_MODEL, 20, training.writeCheckpoint(LANGUAGE_MODEL, "new"));
		assertThat(Thread.interrupted()).isTrue();
		SpoolFile.deleteAll(training.checkpoints(LANGUAGE_MODEL));
		listener.onEnd(LANGUAGE_MODEL, 20);
		listener.close();

		String run = tracked().phase(LANGUAGE_MODEL).getInfo().getRunId();
		MlflowApi api = new MlflowApi(MlflowConnection.to(this.server.toString()));
		assertThat(api.artifacts(run, "checkpoints/last")).extracting(FileInfo::getPath)
			.containsExactlyInAnyOrder("checkpoints/last/config.json", "checkpoints/last/model.safetensors");
		assertThat(artifact(run, "checkpoints/last/model.safetensors")).isEqualTo("new".getBytes());
		assertThat(this.directory.resolve("mlflow-spool")).isEmptyDirectory();
	}

	@Test
	void experimentById() {
		String id = client().createExperiment(this.experiment);
		MlflowListener listener = listener((options) -> options.experimentId(id));
		new FakeTraining(listener, this.directory).phase(LANGUAGE_MODEL, 2);
		listener.close();
		assertThat(tracked().training().getInfo().getExperimentId()).isEqualTo(id);
	}

	private MlflowClient client() {
		return new MlflowClient(this.server.toString());
	}

	@Test
	void floodOfMetricsArrives() {
		MlflowListener listener = listener((options) -> options.queue(30_000));
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.start(LANGUAGE_MODEL, 1, 4000);
		training.steps(LANGUAGE_MODEL, 1, 4000, 4000);
		listener.onEnd(LANGUAGE_MODEL, 4000);
		listener.close();
		MlflowStatus status = listener.status().orElseThrow();
		assertThat(status.dropped()).isZero();
		assertThat(status.recorded()).isGreaterThanOrEqualTo(24_000);
		assertThat(status.delivered()).isEqualTo(status.recorded());
		assertThat(status.complete()).isTrue();
		assertThat(tracked().curve(tracked().phase(LANGUAGE_MODEL), "gradient_norm")).hasSize(4000);
	}

	private JsonObject get(String endpoint) throws Exception {
		String body = HttpClient.newHttpClient()
			.send(HttpRequest.newBuilder(URI.create(this.server + "/api/2.0/mlflow/" + endpoint)).build(),
					BodyHandlers.ofString())
			.body();
		return JsonParser.parseString(body).getAsJsonObject();
	}

	private byte[] artifact(String run, String path) throws Exception {
		String query = "run_uuid=" + run + "&path=" + URLEncoder.encode(path, StandardCharsets.UTF_8);
		return HttpClient.newHttpClient()
			.send(HttpRequest.newBuilder(URI.create(this.server + "/get-artifact?" + query)).build(),
					BodyHandlers.ofByteArray())
			.body();
	}

}

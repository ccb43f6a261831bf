package io.calm.mlflow;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.stream.Stream;

import io.calm.input.InvalidInputException;
import io.calm.mlflow.MlflowOptions.Checkpoints;
import io.calm.training.TrainingEnd.Outcome;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mlflow.api.proto.Service.RunStatus;
import org.mlflow.tracking.MlflowClient;

import static io.calm.mlflow.FakeTraining.AUTOENCODER;
import static io.calm.mlflow.FakeTraining.LANGUAGE_MODEL;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.awaitility.Awaitility.await;

/**
 * Servers that are away, slow or wrong: the training does not notice, and in the end
 * everything is where it belongs, once.
 */
@ExtendWith(MlflowServer.class)
@Timeout(value = 5, unit = TimeUnit.MINUTES)
class MlflowOutageTest {

	private static final Duration FOREVER = Duration.ofHours(1);

	private static final Duration PATIENCE = Duration.ofMinutes(1);

	private final String experiment = "outage-" + UUID.randomUUID();

	private final URI server;

	private final Path directory;

	private final Path spool;

	private final Gate gate;

	MlflowOutageTest(URI server, @TempDir Path directory) throws IOException {
		this.server = server;
		this.directory = directory;
		this.spool = directory.resolve("mlflow-spool");
		this.gate = new Gate(server);
	}

	@AfterEach
	void closeGate() {
		this.gate.close();
	}

	private MlflowListener listener(Consumer<MlflowOptions.Builder> more) {
		return MlflowListener.of((options) -> {
			options.trackingUri(this.gate.uri())
				.experiment(this.experiment)
				.systemMetricsEvery(Duration.ZERO)
				.sendEvery(Duration.ofMillis(20))
				.closeTimeout(Duration.ofSeconds(1));
			more.accept(options);
		});
	}

	private Tracked tracked() {
		return Tracked.of(this.server.toString(), this.experiment);
	}

	private MlflowReplay.Result replay() {
		return MlflowReplay.send(this.spool, MlflowConnection.to(this.server.toString()));
	}

	private void assertWhole(long steps) {
		assertThat(tracked().runs()).hasSize(3);
		tracked().assertLosses(AUTOENCODER, steps);
		tracked().assertLosses(LANGUAGE_MODEL, steps);
		assertThat(tracked().training().getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		assertThat(tracked().phase(LANGUAGE_MODEL).getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		assertThat(tracked().curve(tracked().phase(LANGUAGE_MODEL), "evaluation/brier_lm"))
			.isEqualTo(Map.of(steps, 7.5));
	}

	@Test
	void silentServerHoldsNobodyUp() {
		this.gate.mode = Gate.Mode.SILENT;
		// a call that waited for the server would wait until the test's timeout
		MlflowListener listener = listener((options) -> options.connection((to) -> to.timeout(FOREVER)));
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.begin();
		training.phase(AUTOENCODER, 2000);
		training.phase(LANGUAGE_MODEL, 2000);
		training.end(Outcome.FINISHED);
		listener.close();
		MlflowStatus status = listener.status().orElseThrow();
		assertThat(this.gate.paths()).isNotEmpty();
		assertThat(status.delivered()).isZero();
		assertThat(status.complete()).isFalse();
		assertThat(status.recorded()).isEqualTo(2 * 2000 * 6 + 3);

		replay();
		assertWhole(2000);
	}

	@ParameterizedTest
	@ValueSource(ints = { 500, 503, 429, 401, 403 })
	void refusedTrainingIsSentLater(int code) throws IOException {
		this.gate.mode = Gate.Mode.REFUSING;
		this.gate.status = code;
		MlflowListener listener = listener((options) -> {
		});
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.begin();
		training.phase(AUTOENCODER, 20);
		training.phase(LANGUAGE_MODEL, 20);
		training.end(Outcome.FINISHED);
		listener.close();
		MlflowStatus status = listener.status().orElseThrow();
		assertThat(status.error().orElseThrow()).contains(String.valueOf(code));
		assertThat(status.refused()).isZero();
		assertThat(status.dropped()).isZero();
		if (code == 401) {
			assertThat(status.error().orElseThrow()).contains("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD",
					"MLFLOW_TRACKING_TOKEN");
		}
		MlflowReplay.Result first = replay();
		assertThat(first.points()).isEqualTo(status.recorded());
		assertWhole(20);
		MlflowReplay.Result second = replay();
		assertThat(second.points()).isZero();
		assertThat(second.known()).isEqualTo(status.recorded());
		assertWhole(20);
	}

	@Test
	void serverThatComesLateGetsAll() {
		this.gate.mode = Gate.Mode.REFUSING;
		MlflowListener listener = listener((options) -> options.closeTimeout(Duration.ofMinutes(1)));
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.begin();
		training.phase(AUTOENCODER, 50);
		this.gate.mode = Gate.Mode.OPEN;
		training.phase(LANGUAGE_MODEL, 50);
		training.end(Outcome.FINISHED);
		listener.close();
		assertWhole(50);
		assertThat(this.spool).isEmptyDirectory();
	}

	@Test
	void lostAnswersDoubleNothing() {
		this.gate.mode = Gate.Mode.LOSING_ANSWERS;
		MlflowListener listener = listener(
				(options) -> options.closeTimeout(Duration.ofMinutes(2)).checkpoints(Checkpoints.ALL));
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.begin();
		training.phase(AUTOENCODER, 300);
		training.phase(LANGUAGE_MODEL, 300);
		training.end(Outcome.FINISHED);
		listener.close();
		assertThat(listener.status().orElseThrow().complete()).isTrue();
		assertWhole(300);
	}

	@Test
	void serverIsKilledAndRestarted() throws Exception {
		Path data = Files.createDirectory(this.directory.resolve("server"));
		try (MlflowServer mortal = MlflowServer.start(data, Map.of())) {
			MlflowListener listener = listener(
					(options) -> options.trackingUri(mortal.uri()).closeTimeout(Duration.ofMinutes(2)));
			FakeTraining training = new FakeTraining(listener, this.directory);
			training.begin();
			training.phase(AUTOENCODER, 500);
			training.start(LANGUAGE_MODEL, 1, 500);
			training.steps(LANGUAGE_MODEL, 1, 200, 500);
			await().atMost(PATIENCE).until(() -> listener.status().orElseThrow().delivered() > 0);
			mortal.kill();
			training.steps(LANGUAGE_MODEL, 201, 400, 500);
			mortal.start();
			training.steps(LANGUAGE_MODEL, 401, 500, 500);
			listener.onEnd(LANGUAGE_MODEL, 500);
			training.end(Outcome.FINISHED);
			listener.close();
			Tracked tracked = Tracked.of(mortal.uri(), this.experiment);
			assertThat(tracked.runs()).hasSize(3);
			tracked.assertLosses(AUTOENCODER, 500);
			tracked.assertLosses(LANGUAGE_MODEL, 500);
			assertThat(tracked.training().getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		}
	}

	@Test
	void withoutServerAllIsInTheSpool() throws IOException {
		MlflowListener listener = MlflowListener.of(MlflowOptions.of(Map.of(),
				(options) -> options.experiment(this.experiment)
					.systemMetricsEvery(Duration.ZERO)
					.checkpoints(Checkpoints.ALL)));
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.begin();
		training.phase(AUTOENCODER, 25);
		training.start(LANGUAGE_MODEL, 1, 25);
		training.steps(LANGUAGE_MODEL, 1, 25, 25);
		listener.onCheckpoint(LANGUAGE_MODEL, 25, training.writeCheckpoint(LANGUAGE_MODEL, "weights"));
		listener.onEvaluation(LANGUAGE_MODEL, 25, Map.of("brier_lm", 7.5));
		listener.onEnd(LANGUAGE_MODEL, 25);
		training.end(Outcome.FINISHED);
		listener.close();

		List<Path> files = SpoolFile.in(this.spool);
		assertThat(files).hasSize(1);
		String lines = Files.readString(files.get(0));
		assertThat(replay()).isEqualTo(new MlflowReplay.Result(1, 0, 2 * 25 * 6 + 2, 0, 0));
		assertWhole(25);
		assertThat(new MlflowApi(MlflowConnection.to(this.server.toString()))
			.artifacts(tracked().phase(LANGUAGE_MODEL).getInfo().getRunId(), "checkpoints/step-25")).hasSize(2);
		assertThat(replay()).isEqualTo(new MlflowReplay.Result(1, 0, 0, 2 * 25 * 6 + 2, 0));
		assertThat(files.get(0)).hasContent(lines);
		assertWhole(25);
	}

	@Test
	void trainingThatGoesOnIsReplayedAsOne() {
		for (long first : List.of(1L, 21L)) {
			MlflowListener listener = MlflowListener.of(MlflowOptions.of(Map.of(),
					(options) -> options.experiment(this.experiment).systemMetricsEvery(Duration.ZERO)));
			FakeTraining training = new FakeTraining(listener, this.directory);
			training.start(LANGUAGE_MODEL, first, 50);
			training.steps(LANGUAGE_MODEL, first, (first == 1) ? 30 : 50, 50);
			if (first > 1) {
				listener.onEnd(LANGUAGE_MODEL, 50);
			}
			listener.close();
		}
		replay();
		assertThat(tracked().runs()).hasSize(2);
		tracked().assertLosses(LANGUAGE_MODEL, 50);
		assertThat(tracked().training().getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
	}

	@Test
	void spoolThatIsBeingWrittenIsLeftAlone() {
		this.gate.mode = Gate.Mode.REFUSING;
		MlflowListener listener = listener((options) -> {
		});
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.start(LANGUAGE_MODEL, 1, 10);
		await().atMost(PATIENCE).until(() -> listener.status().orElseThrow().spool().isPresent());
		assertThat(replay()).isEqualTo(new MlflowReplay.Result(0, 1, 0, 0, 0));
		listener.close();
		assertThat(replay().trainings()).isEqualTo(1);
	}

	@Test
	void whatTheServerWillNeverTakeIsCountedAndKept() {
		MlflowListener listener = listener((options) -> options.closeTimeout(Duration.ofMinutes(1)));
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.start(LANGUAGE_MODEL, 1, 20);
		training.steps(LANGUAGE_MODEL, 1, 10, 20);
		await().atMost(PATIENCE).until(() -> listener.status().orElseThrow().delivered() >= 60);
		new MlflowClient(this.server.toString()).deleteRun(tracked().phase(LANGUAGE_MODEL).getInfo().getRunId());
		training.steps(LANGUAGE_MODEL, 11, 20, 20);
		listener.onEnd(LANGUAGE_MODEL, 20);
		listener.close();
		MlflowStatus status = listener.status().orElseThrow();
		assertThat(status.delivered()).isEqualTo(60);
		assertThat(status.refused()).isGreaterThanOrEqualTo(60);
		assertThat(status.complete()).isFalse();
		assertThat(status.spool().orElseThrow()).exists();
	}

	@Test
	void queueIsBoundedAndCountsWhatItDrops() {
		MlflowListener listener = listener((options) -> options.queue(10).closeTimeout(Duration.ofMinutes(1)));
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.start(LANGUAGE_MODEL, 1, 20_000);
		training.steps(LANGUAGE_MODEL, 1, 20_000, 20_000);
		listener.onEnd(LANGUAGE_MODEL, 20_000);
		listener.close();
		MlflowStatus status = listener.status().orElseThrow();
		// faster than any disk: some must have been dropped
		assertThat(status.dropped()).isPositive();
		assertThat(status.recorded()).isEqualTo((20_000 - status.dropped()) * 6);
		assertThat(status.delivered()).isEqualTo(status.recorded());
		// the end was not among them
		assertThat(tracked().phase(LANGUAGE_MODEL).getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
	}

	@Test
	void spoolThatCannotBeWrittenDoesNotEndATraining() throws IOException {
		Path file = Files.writeString(this.directory.resolve("file"), "");
		MlflowListener listener = listener((options) -> options.spool(file));
		FakeTraining training = new FakeTraining(listener, this.directory);
		training.phase(LANGUAGE_MODEL, 5);
		listener.close();
		// start, steps, evaluation, and the ends of phase and training
		assertThat(listener.status().orElseThrow().dropped()).isEqualTo(5 + 4);
	}

	@Test
	void failFastEndsTheTraining() {
		this.gate.mode = Gate.Mode.REFUSING;
		this.gate.status = 401;
		MlflowListener listener = listener((options) -> options.failFast(true));
		FakeTraining training = new FakeTraining(listener, this.directory);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> training.start(LANGUAGE_MODEL, 1, 5))
			.withMessageContaining("MLFLOW_TRACKING_TOKEN");
		listener.close();
	}

	@Test
	void failFastAlsoLater() {
		MlflowListener listener = listener((options) -> options.failFast(true));
		FakeTraining training = new FakeTraining(listener, this.directory);
		assertThatCode(() -> training.start(LANGUAGE_MODEL, 1, 5)).doesNotThrowAnyException();
		this.gate.mode = Gate.Mode.REFUSING;
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> {
			for (long step = 1; step <= PATIENCE.toMillis(); step++) {
				training.steps(LANGUAGE_MODEL, step, step, Long.MAX_VALUE);
				Thread.sleep(1);
			}
		}).withMessageContaining("500");
		listener.close();
	}

	@Test
	void replayOfWhatIsNotThere() {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(this::replay)
			.withMessageContaining("mlflow-spool");
	}

	@Test
	void neitherTextsNorPathsNorSecretsAreSentOrKept() throws IOException {
		MlflowListener listener = listener((options) -> options.connection((to) -> to.token("t0ken-of-mine"))
			.tag("note", "t0ken-of-mine")
			.closeTimeout(Duration.ofMinutes(1)));
		FakeTraining training = new FakeTraining(listener, this.directory);
		Map<String, Object> settings = training.settings(5);
		settings.put("url", "https://joe:s3cret@example.org/t0ken-of-mine");
		training.start(LANGUAGE_MODEL, 1, 5, settings, FakeTraining.DIGEST);
		listener.onFailure(LANGUAGE_MODEL, new IllegalStateException("t0ken-of-mine"));
		listener.close();
		assertThat(Tracked.params(tracked().phase(LANGUAGE_MODEL))).containsEntry("url", "https://***@example.org/***");
		try (Stream<Path> files = Files.walk(this.spool)) {
			for (Path file : files.filter((path) -> path.toString().endsWith(".jsonl")).toList()) {
				assertThat(file).content().doesNotContain("t0ken").doesNotContain("s3cret");
			}
		}
		assertThat(tracked().runs().toString()).doesNotContain("t0ken")
			.doesNotContain("s3cret")
			.doesNotContain(this.directory.toString());
	}

}

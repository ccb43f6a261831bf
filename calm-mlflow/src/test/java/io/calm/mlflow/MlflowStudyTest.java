package io.calm.mlflow;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.UUID;

import io.calm.training.TrainingEnd.Outcome;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunStatus;

import static io.calm.mlflow.FakeTraining.AUTOENCODER;
import static io.calm.mlflow.FakeTraining.LANGUAGE_MODEL;
import static org.assertj.core.api.Assertions.assertThat;

/** Trainings that belong together. */
@ExtendWith(MlflowServer.class)
class MlflowStudyTest {

	private final String experiment = "study-" + UUID.randomUUID();

	private final String key = UUID.randomUUID().toString();

	private final URI server;

	private final Path directory;

	MlflowStudyTest(URI server, @TempDir Path directory) {
		this.server = server;
		this.directory = directory;
	}

	private MlflowStudy study(boolean sends) {
		return MlflowStudy.of(this.key, this.directory, Map.of("method", "grid"), (options) -> {
			options.experiment(this.experiment)
				.run("sweep")
				.systemMetricsEvery(Duration.ZERO)
				.closeTimeout(Duration.ofMinutes(1));
			if (sends) {
				options.trackingUri(this.server.toString());
			}
		});
	}

	private FakeTraining training(MlflowStudy study, String name) {
		return new FakeTraining(study.training(name, Map.of("rate", name)), this.directory.resolve(name));
	}

	private Tracked tracked() {
		return Tracked.of(this.server.toString(), this.experiment);
	}

	private Run nested(Run parent, String name) {
		List<Run> found = tracked().runs()
			.stream()
			.filter((run) -> parent.getInfo().getRunId().equals(Tracked.tags(run).get("mlflow.parentRunId"))
					&& name.equals(Tracked.tags(run).get("mlflow.runName")))
			.toList();
		assertThat(found).as(name).hasSize(1);
		return found.get(0);
	}

	private void finish(MlflowStudy study) throws IOException {
		study.artifact(Files.writeString(this.directory.resolve("report.md"), "# Sweep"));
		study.finish();
	}

	/** Side by side, and with a name that is no path and no end of a query. */
	private void trainTwo(MlflowStudy study) {
		FakeTraining first = training(study, "0.1 / it's");
		FakeTraining second = training(study, "0.2");
		first.begin();
		second.begin();
		first.phase(AUTOENCODER, 2);
		second.phase(AUTOENCODER, 3);
		first.phase(LANGUAGE_MODEL, 4);
		second.phase(LANGUAGE_MODEL, 5);
		first.end(Outcome.FINISHED);
		second.end(Outcome.FINISHED);
		study.scores("0.2", 5, Map.of("brier_lm", 7.5));
	}

	private void assertTwo() {
		Run parent = tracked().training();
		assertThat(Tracked.tags(parent)).containsEntry("mlflow.runName", "sweep");
		assertThat(Tracked.params(parent)).containsEntry("method", "grid");
		assertThat(tracked().artifacts(parent)).containsOnlyKeys("report.md");
		for (String name : List.of("0.1 - it's", "0.2")) {
			Run training = nested(parent, name);
			assertThat(Tracked.params(training)).containsEntry("rate", name.replace(" - ", " / "));
			assertThat(tracked().artifacts(training)).isEmpty();
			long steps = name.equals("0.2") ? 5 : 4;
			assertThat(tracked().curve(nested(training, "language-model"), "loss")).hasSize((int) steps);
			assertThat(tracked().curve(nested(training, "autoencoder"), "loss")).hasSize((int) steps - 2);
		}
		assertThat(tracked().curve(nested(parent, "0.2"), "brier_lm")).isEqualTo(Map.of(5L, 7.5));
		assertThat(tracked().runs()).hasSize(1 + 2 + 4)
			.allMatch((run) -> run.getInfo().getStatus() == RunStatus.FINISHED);
	}

	@Test
	void isOneRunWithOthersNestedInIt() throws IOException {
		try (MlflowStudy study = study(true)) {
			trainTwo(study);
			finish(study);
		}
		assertTwo();
		assertThat(this.directory.resolve("mlflow-spool")).isEmptyDirectory();

		// its key tells it again when no spool does
		try (MlflowStudy study = study(true)) {
			finish(study);
		}
		assertTwo();
	}

	@Test
	void isSentLater() throws IOException {
		try (MlflowStudy study = study(false)) {
			trainTwo(study);
			finish(study);
		}
		for (int times = 0; times < 2; times++) {
			assertThat(MlflowReplay
				.send(this.directory.resolve("mlflow-spool"), MlflowConnection.to(this.server.toString()))
				.trainings()).isEqualTo(1);
			assertTwo();
		}
	}

	@Test
	void trainingsMayPauseAndTheStudyBeKilled() throws IOException {
		try (MlflowStudy study = study(true)) {
			FakeTraining paused = training(study, "paused");
			paused.begin();
			paused.start(LANGUAGE_MODEL, 1, 9);
			paused.steps(LANGUAGE_MODEL, 1, 3, 9);
			paused.listener().onEnd(LANGUAGE_MODEL, 3);
			paused.end(Outcome.PAUSED);
			FakeTraining stopped = training(study, "stopped");
			stopped.begin();
			stopped.phase(LANGUAGE_MODEL, 3);
			stopped.end(Outcome.PAUSED);
			study.end("stopped", Instant.ofEpochMilli(5000), Map.of("calm.why", "worse"));
			FakeTraining failed = training(study, "failed");
			failed.begin();
			failed.start(LANGUAGE_MODEL, 1, 9);
			failed.end(Outcome.FAILED);
			study.keep();
			try (var spools = Files.list(this.directory.resolve("mlflow-spool"))) {
				assertThat(spools.filter((file) -> file.toString().endsWith(".jsonl"))).singleElement()
					.satisfies((spool) -> assertThat(spool).content().contains("\"run\":\"failed/\""));
			}
		}
		Run parent = tracked().training();
		assertThat(parent.getInfo().getStatus()).isEqualTo(RunStatus.KILLED);
		assertThat(nested(parent, "paused").getInfo().getStatus()).isEqualTo(RunStatus.KILLED);
		assertThat(nested(parent, "failed").getInfo().getStatus()).isEqualTo(RunStatus.FAILED);
		Run stopped = nested(parent, "stopped");
		assertThat(stopped.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		assertThat(stopped.getInfo().getEndTime()).isEqualTo(5000);
		assertThat(Tracked.tags(stopped)).containsEntry("calm.why", "worse");

		try (MlflowStudy study = study(true)) {
			FakeTraining paused = training(study, "paused");
			paused.begin();
			paused.start(LANGUAGE_MODEL, 3, 9);
			paused.steps(LANGUAGE_MODEL, 3, 9, 9);
			paused.listener().onEnd(LANGUAGE_MODEL, 9);
			paused.end(Outcome.FINISHED);
			finish(study);
		}
		assertThat(tracked().training().getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		Run paused = nested(parent, "paused");
		assertThat(paused.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		assertThat(tracked().curve(nested(paused, "language-model"), "loss")).hasSize(9);
		assertThat(tracked().runs()).hasSize(1 + 3 + 3);
	}

}

package io.calm.mlflow;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import io.calm.input.InvalidInputException;
import io.calm.mlflow.SpoolEntry.End;
import io.calm.mlflow.SpoolEntry.Metrics;
import io.calm.mlflow.SpoolEntry.Training;
import io.calm.mlflow.StubServer.Answer;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * Spools that are sent by hand: what is none is not touched, and one that is refused
 * keeps nobody else.
 */
class MlflowReplayTest {

	private final Path spool;

	private final StubServer server = new StubServer();

	MlflowReplayTest(@TempDir Path directory) throws IOException {
		this.spool = Files.createDirectory(directory.resolve("mlflow-spool"));
	}

	@AfterEach
	void closeServer() {
		this.server.close();
	}

	private void record(String key, @Nullable String runId) throws IOException {
		try (SpoolFile file = SpoolFile.create(this.spool,
				new Training(1, key, 5, "stories", null, null, runId, Map.of()))) {
			file.append(new Metrics("", 7, 1, Map.of("loss", 0.5)));
			file.append(new End("", 9, "FINISHED", Map.of()));
		}
	}

	private MlflowReplay.Result replay() {
		return MlflowReplay.send(this.spool, MlflowConnection.to(this.server.uri()));
	}

	@ParameterizedTest
	@ValueSource(ints = { 400, 403, 404, 500 })
	void oneRefusedSpoolDoesNotStopTheOthers(int status) throws IOException {
		record("a-refused", "999");
		record("b", null);
		record("c", null);
		this.server.special = (call) -> (call.query().contains("999") || call.body().contains("999"))
				? Optional.of(Answer.of(status, "{}")) : Optional.empty();
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(this::replay)
			.withMessageContaining("a-refused")
			.withMessageContaining("trainings that were sent: 2")
			.withMessageContaining(String.valueOf(status));
		assertThat(this.server.runs).hasSize(2);
	}

	@Test
	void whatIsNoSpoolIsLeftAlone() throws IOException {
		record("a", null);
		Path corpus = Files.writeString(this.spool.resolve("c.jsonl"), "{\"text\":\"x\"}");
		List<Path> before = new ArrayList<>(SpoolFile.in(this.spool));
		assertThat(replay()).isEqualTo(new MlflowReplay.Result(1, 0, 1, 0, 0));
		assertThat(SpoolFile.in(this.spool)).isEqualTo(before);
		assertThat(corpus).content().isEqualTo("{\"text\":\"x\"}");
		assertThat(this.spool.resolve("c.lock")).doesNotExist();
	}

	@Test
	void aMistypedNameIsNoSuccess() throws IOException {
		assertThat(replay()).as("of all that has arrived").isEqualTo(new MlflowReplay.Result(0, 0, 0, 0, 0));
		Path corpus = Files.writeString(this.spool.resolve("c.jsonl"), "{\"text\":\"x\"}");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(this::replay)
			.withMessageContaining("holds no spool of a training");
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> MlflowReplay.send(corpus, MlflowConnection.to(this.server.uri())))
			.withMessageContaining("is no spool of a training");
		assertThat(this.server.calls()).isEmpty();
	}

	@Test
	void wrongCredentialsAreAskedForOnce() throws IOException {
		record("a", null);
		record("b", null);
		this.server.special = (call) -> Optional.of(Answer.of(401, ""));
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(this::replay)
			.withMessageContaining("MLFLOW_TRACKING_USERNAME");
		assertThat(this.server.calls()).hasSize(1);
	}

	@Test
	void deletedExperimentIsToldAndSentOnceItIsRestored() throws IOException {
		record("a", null);
		this.server.special = (call) -> call.what().equals("GET experiments/get-by-name") ? Optional.of(Answer.of(200,
				"{\"experiment\":{\"experiment_id\":\"7\",\"name\":\"stories\",\"lifecycle_stage\":\"deleted\"}}"))
				: Optional.empty();
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(this::replay)
			.withMessageContaining("experiment stories is deleted")
			.withMessageContaining("restore");
		assertThat(this.server.runs).isEmpty();
		this.server.special = (call) -> Optional.empty();
		assertThat(replay()).isEqualTo(new MlflowReplay.Result(1, 0, 1, 0, 0));
	}

}

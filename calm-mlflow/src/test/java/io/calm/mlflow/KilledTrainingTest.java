package io.calm.mlflow;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.atomic.AtomicReference;

import com.google.gson.JsonParser;
import io.calm.mlflow.SpoolEntry.End;
import io.calm.mlflow.SpoolEntry.Training;
import io.calm.mlflow.StubServer.Answer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static io.calm.mlflow.FakeTraining.LANGUAGE_MODEL;
import static org.assertj.core.api.Assertions.assertThat;

/**
 * Trainings that were killed before their first checkpoint, and runs that a slow server
 * made twice.
 */
class KilledTrainingTest {

	private final Path directory;

	KilledTrainingTest(@TempDir Path directory) {
		this.directory = directory;
	}

	private List<Path> train(String data, boolean killed) throws IOException {
		try (MlflowListener listener = MlflowListener
			.of(MlflowOptions.of(Map.of(), (options) -> options.systemMetricsEvery(Duration.ZERO)))) {
			FakeTraining training = new FakeTraining(listener, this.directory);
			training.start(LANGUAGE_MODEL, 1, 5, training.settings(5), data);
			training.steps(LANGUAGE_MODEL, 1, 5, 5);
			listener.onEnd(LANGUAGE_MODEL, 5);
		}
		List<Path> spools = SpoolFile.in(this.directory.resolve("mlflow-spool"));
		if (killed) {
			Path newest = spools.get(spools.size() - 1);
			Files.write(newest,
					Files.readAllLines(newest).stream().filter((line) -> !line.contains("\"type\":\"end\"")).toList());
		}
		return spools;
	}

	@Test
	void theSameTrainingGoesOnInItsRun() throws IOException {
		assertThat(train("data", true)).hasSize(1);
		assertThat(train("data", false)).hasSize(1);
		assertThat(train("data", false)).as("another one, for the first has ended").hasSize(2);
	}

	@Test
	void anotherTrainingHasItsOwn() throws IOException {
		assertThat(train("data", true)).hasSize(1);
		assertThat(train("other", true)).hasSize(2);
	}

	@Test
	void runThatWasMadeTwiceIsThereOnce() throws IOException {
		AtomicReference<String> first = new AtomicReference<>();
		try (StubServer server = new StubServer()) {
			server.special = (call) -> {
				if (!call.what().equals("POST runs/create")) {
					return Optional.empty();
				}
				if (first.compareAndSet(null, call.body())) {
					return Optional.of(Answer.of(504, ""));
				}
				// only now the server is done with what nobody waits for any more
				Answer second = Answer.of(200, server.created(JsonParser.parseString(call.body()).getAsJsonObject()));
				server.created(JsonParser.parseString(first.get()).getAsJsonObject());
				return Optional.of(second);
			};
			try (SpoolFile file = SpoolFile.create(this.directory,
					new Training(1, "key", 5, "stories", null, null, null, Map.of()))) {
				file.append(new End("", 9, "FINISHED", Map.of()));
			}
			assertThat(MlflowReplay.send(this.directory, MlflowConnection.to(server.uri())).trainings()).isEqualTo(1);
			assertThat(server.runs).containsOnlyKeys("run1");
		}
	}

}

package io.calm.cli;

import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import java.util.stream.Stream;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.mlflow.MlflowServer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.mlflow.api.proto.Service.Metric;
import org.mlflow.api.proto.Service.Param;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunInfo;
import org.mlflow.api.proto.Service.RunStatus;
import org.mlflow.api.proto.Service.RunTag;
import org.mlflow.tracking.MlflowClient;

import static org.assertj.core.api.Assertions.assertThat;

/** Sweeps and studies on a real server: one run each, with others nested in it. */
@ExtendWith(MlflowServer.class)
class TrackedSweepTest {

	private static final String PARENT = "mlflow.parentRunId";

	private final Path directory;

	private final String server;

	private final String experiment = "sweep-" + UUID.randomUUID();

	TrackedSweepTest(URI server, @TempDir Path directory) throws IOException {
		this.server = server.toString();
		this.directory = directory;
		Files.writeString(directory.resolve("text.txt"), "red blue one two ".repeat(100));
		Files.writeString(directory.resolve("unseen.txt"), "one red two blue ".repeat(20));
	}

	private Path sweep() throws IOException {
		return Files.writeString(this.directory.resolve("sweep.yaml"), """
				output: %s
				run:
				  corpus: %s
				  evaluation-corpus: %s
				  tokenizer: byte
				  baseline: true
				  preset: nano
				  steps: 40
				  batch: 2
				  block: 16
				  warmup: 0
				  checkpoint-every: 3
				  no-fusion: true
				  mlflow: %s
				  mlflow-experiment: %s
				parameters: {learning-rate: [0.0001, 0.001, 0.003, 0.01]}
				halving: {rungs: 2}
				parallel: 2
				""".formatted(this.directory.resolve("sweep"), this.directory.resolve("text.txt"),
				this.directory.resolve("unseen.txt"), this.server, this.experiment));
	}

	/** In a process of its own. */
	private Process start(Path sweep) throws IOException {
		return new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx256m",
				"-XX:TieredStopAtLevel=1", "-cp",
				System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
				CalmCommand.class.getName(), "sweep", sweep.toString(), "--json")
			.directory(this.directory.toFile())
			.redirectErrorStream(true)
			.redirectOutput(ProcessBuilder.Redirect.appendTo(this.directory.resolve("log").toFile()))
			.start();
	}

	private String log() throws IOException {
		return Files.readString(this.directory.resolve("log"), StandardCharsets.UTF_8);
	}

	/**
	 * The sweep and the server; both are started again at the same time, on what is on
	 * the disk.
	 */
	@Test
	void everythingIsKilledInTheMiddle(MlflowServer mortal) throws Exception {
		Path file = sweep();
		Path results = this.directory.resolve("sweep/results");
		Process killed = start(file);
		while (names(results).stream().noneMatch((name) -> name.endsWith(".rung-1.json")) || received().size() < 2) {
			assertThat(killed.isAlive()).as(log()).isTrue();
			Thread.sleep(20);
		}
		Set<String> begun = received();
		killed.destroyForcibly();
		mortal.kill();
		killed.waitFor();
		CompletableFuture<Void> started = CompletableFuture.runAsync(mortal::start);
		Map<String, String> before = names(results).stream()
			.filter((name) -> name.matches(".*rung-.\\.json"))
			.collect(Collectors.toMap((name) -> name, (name) -> content(results.resolve(name))));
		assertThat(before).as("outcomes").hasSizeBetween(1, 5);

		succeed("sweep " + file + " --quiet");
		started.get();
		before.forEach((name, content) -> assertThat(results.resolve(name)).hasContent(content));
		assertThat(names(results).stream().filter((name) -> name.contains("rung"))).hasSize(6);
		sendTheRest(this.directory.resolve("sweep/mlflow-spool"));

		List<Run> runs = runs();
		assertThat(runs.stream().map((run) -> run.getInfo().getRunId())).as("the same runs").containsAll(begun);
		Run parent = parent(runs);
		assertThat(parent.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		assertThat(params(parent)).containsEntry("method", "grid")
			.containsEntry("rungs", "2")
			.containsEntry("parameters.learning-rate", "0.0001, 0.001, 0.003, 0.01");
		assertThat(artifacts(parent)).contains("report.md", "results.csv", "parallel.png");
		List<Run> trials = nestedIn(runs, parent);
		assertThat(trials.stream().map((run) -> tags(run).get("mlflow.runName"))).containsExactlyInAnyOrder("trial-001",
				"trial-002", "trial-003", "trial-004");
		assertThat(trials.stream().map((run) -> params(run).get("learning-rate"))).containsExactlyInAnyOrder("0.0001",
				"0.001", "0.003", "0.01");
		int whole = 0;
		for (Run trial : trials) {
			boolean stopped = tags(trial).containsKey("calm.stopped_after_step");
			whole += stopped ? 0 : 1;
			long steps = stopped ? 20 : 40;
			assertThat(trial.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
			assertThat(steps(trial, "brier_1")).containsExactly(stopped ? new Long[] { 20L } : new Long[] { 20L, 40L });
			List<Run> phases = nestedIn(runs, trial);
			assertThat(phases).hasSize(1);
			assertThat(phases.get(0).getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
			assertThat(steps(phases.get(0), "loss"))
				.containsExactlyElementsOf(LongStream.rangeClosed(1, steps).boxed().toList());
		}
		assertThat(whole).isEqualTo(2);
		assertThat(runs).hasSize(1 + 4 + 4);

		// all is done: nothing is trained again, and no run is doubled
		succeed("sweep " + file + " --quiet");
		sendTheRest(this.directory.resolve("sweep/mlflow-spool"));
		assertThat(runs()).hasSize(1 + 4 + 4).allMatch((run) -> run.getInfo().getStatus() == RunStatus.FINISHED);
	}

	@Test
	void anAblationIsTrackedTheSameWay() throws IOException {
		String command = "ablate input --quiet --json --no-fusion --states 8 --successors 2 --batch 4 --block 32"
				+ " --autoencoder-size 32 --latent-size 8 --positions 100 --steps 2 --output "
				+ this.directory.resolve("study") + " --mlflow " + this.server + " --mlflow-experiment "
				+ this.experiment;
		succeed(command);
		Files.delete(this.directory.resolve("study/results/both.json"));
		succeed(command);
		sendTheRest(this.directory.resolve("study/mlflow-spool"));
		List<Run> runs = runs();
		Run parent = parent(runs);
		assertThat(parent.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		assertThat(artifacts(parent)).contains("report.md", "results.csv", "chart.png");
		List<Run> arms = nestedIn(runs, parent);
		assertThat(arms.stream().map((run) -> params(run).get("arm"))).containsExactlyInAnyOrder("discrete",
				"continuous", "both");
		for (Run arm : arms) {
			assertThat(arm.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
			assertThat(steps(arm, "brier_lm")).containsExactly(2L);
			assertThat(nestedIn(runs, arm)).hasSize(2);
		}
		assertThat(runs).hasSize(1 + 3 + 6);
	}

	private static void succeed(String command) {
		Invocation invocation = Invocation.calm((Object[]) command.split(" "));
		assertThat(invocation.exit()).as(invocation.err()).isZero();
	}

	/** A server that is slow may not have had all of it when the command ended. */
	private void sendTheRest(Path spool) {
		succeed("mlflow-replay --spool " + spool + " --tracking-uri " + this.server);
	}

	private static List<String> names(Path directory) throws IOException {
		if (!Files.isDirectory(directory)) {
			return List.of();
		}
		try (Stream<Path> files = Files.list(directory)) {
			return files.map((file) -> file.getFileName().toString()).toList();
		}
	}

	private static String content(Path file) {
		try {
			return Files.readString(file);
		}
		catch (IOException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/** The runs that the server knows by now. */
	private Set<String> received() {
		try (MlflowClient client = new MlflowClient(this.server)) {
			return client.getExperimentByName(this.experiment)
				.map((known) -> client.searchRuns(List.of(known.getExperimentId()), ""))
				.orElse(List.of())
				.stream()
				.map(RunInfo::getRunId)
				.collect(Collectors.toSet());
		}
	}

	private List<Run> runs() {
		try (MlflowClient client = new MlflowClient(this.server)) {
			String id = client.getExperimentByName(this.experiment).orElseThrow().getExperimentId();
			return client.searchRuns(List.of(id), "").stream().map((info) -> client.getRun(info.getRunId())).toList();
		}
	}

	private static Run parent(List<Run> runs) {
		List<Run> found = runs.stream().filter((run) -> !tags(run).containsKey(PARENT)).toList();
		assertThat(found).hasSize(1);
		return found.get(0);
	}

	private static List<Run> nestedIn(List<Run> runs, Run parent) {
		return runs.stream().filter((run) -> parent.getInfo().getRunId().equals(tags(run).get(PARENT))).toList();
	}

	private static Map<String, String> tags(Run run) {
		return run.getData().getTagsList().stream().collect(Collectors.toMap(RunTag::getKey, RunTag::getValue));
	}

	private static Map<String, String> params(Run run) {
		return run.getData().getParamsList().stream().collect(Collectors.toMap(Param::getKey, Param::getValue));
	}

	private List<Long> steps(Run run, String metric) {
		try (MlflowClient client = new MlflowClient(this.server)) {
			return client.getMetricHistory(run.getInfo().getRunId(), metric)
				.stream()
				.map(Metric::getStep)
				.sorted()
				.toList();
		}
	}

	private List<String> artifacts(Run run) {
		try (MlflowClient client = new MlflowClient(this.server)) {
			JsonObject answer = JsonParser
				.parseString(client.sendGet("artifacts/list?run_id=" + run.getInfo().getRunId()))
				.getAsJsonObject();
			return answer.getAsJsonArray("files")
				.asList()
				.stream()
				.map((file) -> file.getAsJsonObject().get("path").getAsString())
				.toList();
		}
	}

}

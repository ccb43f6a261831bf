package io.calm.mlflow;

import java.io.BufferedReader;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.LongStream;

import io.calm.Calm;
import io.calm.cluster.LostWorkerException;
import io.calm.cluster.Workers;
import io.calm.graph.ProgramOptions;
import io.calm.text.ByteTokenizer;
import io.calm.training.Phase;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingListener;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.mlflow.api.proto.Service.Param;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunStatus;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Two workers train, and the first one, which tells MLflow, is killed twice between two
 * checkpoints. They do some steps twice; the server has each once.
 */
@EnabledOnOs(OS.LINUX)
@EnabledIfSystemProperty(named = "calm.long", matches = "true",
		disabledReason = "starts six processes, one after the other two")
@ExtendWith(MlflowServer.class)
class KilledWorkersTest {

	private static final int STEPS = 24;

	private static final int CHECKPOINT = 5;

	private final String experiment = "workers-" + UUID.randomUUID();

	private final List<Process> running = new ArrayList<>();

	private final Map<Long, Double> losses = new TreeMap<>();

	/** How often a step was done that had been done before. */
	private int again;

	private final URI server;

	private final Path directory;

	KilledWorkersTest(URI server, @TempDir Path directory) {
		this.server = server;
		this.directory = directory;
	}

	@AfterEach
	void end() {
		this.running.forEach(Process::destroyForcibly);
	}

	@Test
	void theServerHasEachStepOnce() throws Exception {
		Files.writeString(this.directory.resolve("corpus.txt"), "The quick brown fox jumps. ".repeat(60));
		train(CHECKPOINT + 3);
		train(3 * CHECKPOINT + 2);
		train(0);
		assertThat(this.again).as("steps done again").isPositive();
		assertThat(this.losses.keySet()).containsExactlyElementsOf(LongStream.rangeClosed(1, STEPS).boxed().toList());
		Tracked tracked = Tracked.of(this.server.toString(), this.experiment);
		assertThat(tracked.runs()).as("the training, and its only phase").hasSize(2);
		Run phase = tracked.phase(Phase.BASELINE);
		assertThat(phase.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		for (String metric : List.of("loss", "reduction_milliseconds", "tokens_per_second")) {
			assertThat(tracked.curve(phase, metric)).as(metric).containsOnlyKeys(this.losses.keySet());
		}
		assertThat(tracked.curve(phase, "loss")).isEqualTo(this.losses);
		assertThat(phase.getData().getParamsList()).filteredOn((param) -> param.getKey().equals("workers"))
			.extracting(Param::getValue)
			.containsExactly("2");
	}

	/**
	 * @param killed the step after which the first worker is killed; 0 for never
	 */
	private void train(long killed) throws Exception {
		List<String> addresses = addresses();
		Process other = start(new Workers(addresses, 1), Path.of("/dev/null"));
		Process first = start(new Workers(addresses, 0), null);
		StringBuilder output = new StringBuilder();
		try (BufferedReader lines = first.inputReader(StandardCharsets.UTF_8)) {
			for (String line = lines.readLine(); line != null; line = lines.readLine()) {
				output.append(line).append('\n');
				if (line.startsWith("step ")) {
					String[] words = line.split(" ");
					long step = Long.parseLong(words[1]);
					Double loss = Double.valueOf(words[2]);
					Double before = this.losses.put(step, loss);
					if (before != null) {
						this.again++;
						assertThat(loss).as("step %d, done again", step).isEqualTo(before);
					}
					if (step == killed) {
						first.destroyForcibly();
					}
				}
			}
		}
		catch (IOException ex) {
			// it was killed
		}
		assertThat(first.waitFor()).as(output.toString()).isEqualTo((killed > 0) ? 137 : 0);
		assertThat(other.waitFor()).as(output.toString()).isEqualTo((killed > 0) ? 3 : 0);
	}

	private Process start(Workers workers, @Nullable Path output) throws IOException {
		ProcessBuilder builder = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
				"-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"),
				Main.class.getName(), this.server.toString(), this.experiment, this.directory.toString())
			.redirectErrorStream(true);
		if (output != null) {
			builder.redirectOutput(output.toFile());
		}
		builder.environment().put(Workers.VARIABLE, workers.json());
		Process process = builder.start();
		this.running.add(process);
		return process;
	}

	private static List<String> addresses() throws IOException {
		try (ServerSocket one = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
				ServerSocket other = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
			return List.of("127.0.0.1:" + one.getLocalPort(), "127.0.0.1:" + other.getLocalPort());
		}
	}

	/** A worker of the cluster in its environment. */
	static final class Main {

		private Main() {
		}

		public static void main(String[] args) {
			Path directory = Path.of(args[2]);
			try (MlflowListener listener = MlflowListener.of((options) -> options.trackingUri(args[0])
				.experiment(args[1])
				.systemMetricsEvery(Duration.ZERO)
				.sendEvery(Duration.ofMillis(50))
				.closeTimeout(Duration.ofMinutes(1))); ByteTokenizer tokenizer = new ByteTokenizer()) {
				Calm.train((training) -> training.corpus(directory.resolve("corpus.txt"))
					.tokenizer(tokenizer)
					.program(ProgramOptions.DEFAULT)
					.baseline("nano", (shape) -> shape.hiddenSize(16).heads(2),
							(options) -> options.steps(STEPS).batch(4).patches(16).checkpointEvery(CHECKPOINT))
					.listener(listener)
					.listener(new TrainingListener() {
						@Override
						public void onStep(StepMetrics metrics) {
							System.out.println("step " + metrics.step() + " " + metrics.loss());
						}
					})
					.output(directory.resolve("model"))).close();
			}
			catch (LostWorkerException ex) {
				System.exit(3);
			}
			System.exit(0);
		}

	}

}

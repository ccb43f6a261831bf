package io.calm;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.IntStream;

import io.calm.checkpoint.TensorFile;
import io.calm.cluster.LostWorkerException;
import io.calm.cluster.Workers;
import io.calm.input.InvalidInputException;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import io.calm.training.Phase;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingOptions;
import io.calm.training.TrainingStart;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Two processes train one model: the same as one does with two micro-batches, and to the
 * bit the same whatever happens to them.
 */
@EnabledOnOs(OS.LINUX)
class SeveralWorkersTest {

	private static final int AUTOENCODER_STEPS = 8;

	private static final int STEPS = 40;

	private static final int BATCH = 4;

	private static final String WEIGHTS = "model.safetensors";

	private static Path shared;

	private final List<Worker> running = new ArrayList<>();

	private Path directory;

	@BeforeAll
	static void trainUninterrupted(@TempDir Path shared) throws IOException {
		SeveralWorkersTest.shared = shared;
		StringBuilder text = new StringBuilder();
		Random random = new Random(1);
		for (int i = 0; i < 800; i++) {
			text.append(List.of("red", "blue", "one", "two").get(random.nextInt(4))).append(' ');
		}
		Files.writeString(shared.resolve("text.txt"), text);
		Files.writeString(shared.resolve("other.txt"), text.reverse());
	}

	@BeforeEach
	void begin(@TempDir Path directory) {
		this.directory = directory;
	}

	@AfterEach
	void end() {
		this.running.forEach(Worker::end);
	}

	@Test
	void trainsAsOneWithTwoMicroBatchesDoes() {
		Path one = this.directory.resolve("one");
		train(one, shared.resolve("text.txt"), "calm", BATCH / 2, 2, Duration.ZERO, new TrainingListener() {
		});
		Path two = this.directory.resolve("two");
		finish(start(two, "calm"));
		for (String file : List.of(WEIGHTS, "autoencoder/" + WEIGHTS)) {
			float difference = difference(two.resolve(file), one.resolve(file));
			System.out.printf("Largest difference of the weights in %s after %d steps: %g%n", file, STEPS, difference);
			assertThat(difference).as(file).isLessThan(1e-5f);
		}
		assertThat(this.running.get(0).output).anyMatch((line) -> line.contains("workers=2"))
			.anyMatch((line) -> line.contains("reduction_milliseconds"));
		assertThat(this.running.get(1).output).as("only the first worker tells listeners")
			.noneMatch((line) -> line.startsWith("step"));
	}

	/** At random steps, the worker that goes and how it goes in turn. */
	@Test
	void goesOnToTheBitWhateverHappens() {
		assertGoesOn(List.of(new Fault("KILL", 1), new Fault("STOP", 0)), 7);
	}

	@Test
	@EnabledIfSystemProperty(named = "calm.long", matches = "true", disabledReason = "takes minutes")
	void goesOnToTheBitWhateverHappensTenTimes() {
		List<Fault> faults = new ArrayList<>();
		for (int i = 0; i < 10; i++) {
			faults.add(new Fault((i % 2 == 0) ? "KILL" : "STOP", (i / 2) % 2));
		}
		assertGoesOn(faults, System.nanoTime());
	}

	private record Fault(String signal, int worker) {
	}

	private void assertGoesOn(List<Fault> faults, long seed) {
		System.out.println("Seed of the faults: " + seed);
		Random random = new Random(seed);
		Path whole = this.directory.resolve("whole");
		finish(start(whole, "baseline"));
		Path killed = this.directory.resolve("killed");
		int step = 1;
		for (Fault fault : faults) {
			List<Worker> workers = start(killed, "baseline");
			// somewhere behind the last one
			step += 1 + random.nextInt(Math.max(1, (STEPS - step) / (faults.size() + 1)));
			String reached = "step " + Phase.BASELINE + " " + Math.min(step, STEPS - 3) + " ";
			workers.get(0).await((line) -> line.startsWith(reached));
			long since = System.nanoTime();
			workers.get(fault.worker()).signal(fault.signal());
			Worker other = workers.get(1 - fault.worker());
			assertThat(other.exitCode()).as(other.toString()).isEqualTo(3);
			System.out.printf("SIG%s to worker %d at step %d: the other has ended after %.1f s%n", fault.signal(),
					fault.worker(), step, (System.nanoTime() - since) / 1e9);
			assertThat(other.output.get(other.output.size() - 1)).contains("worker " + fault.worker() + " (")
				.contains("start all workers again");
			workers.get(fault.worker()).end();
		}
		List<Worker> last = start(killed, "baseline");
		finish(last);
		assertThat(last.get(0).output).as("it went on")
			.noneMatch((line) -> line.startsWith("start " + Phase.BASELINE + " 1 "));
		assertThat(killed.resolve(WEIGHTS)).hasSameBinaryContentAs(whole.resolve(WEIGHTS));
	}

	@Test
	void refusesWorkersThatDiffer() {
		List<String> addresses = addresses();
		List<Worker> workers = List.of(start(addresses, 0, "text.txt", BATCH, 60),
				start(addresses, 1, "text.txt", BATCH * 2, 60));
		for (Worker worker : workers) {
			assertThat(worker.exitCode()).as(worker.toString()).isEqualTo(2);
			assertThat(worker.output.get(worker.output.size() - 1)).contains("worker 1 (")
				.contains("has another batch than worker 0");
		}
	}

	@Test
	void refusesAnotherText() {
		List<String> addresses = addresses();
		List<Worker> workers = List.of(start(addresses, 0, "text.txt", BATCH, 60),
				start(addresses, 1, "other.txt", BATCH, 60));
		for (Worker worker : workers) {
			assertThat(worker.exitCode()).as(worker.toString()).isEqualTo(2);
			assertThat(worker.output.get(worker.output.size() - 1)).contains("has another text than worker 0");
		}
	}

	@Test
	void doesNotWaitForeverForOneThatDoesNotCome() {
		List<String> addresses = addresses();
		Worker alone = start(addresses, 0, "text.txt", BATCH, 2);
		assertThat(alone.exitCode()).as(alone.toString()).isEqualTo(3);
		assertThat(alone.output.get(alone.output.size() - 1))
			.contains("worker 1 (" + addresses.get(1) + ") has not come within 2 s");
	}

	private List<Worker> start(Path output, String model) {
		List<String> addresses = addresses();
		return List.of(start(addresses, 0, output, "text.txt", model, BATCH, 60),
				start(addresses, 1, output, "text.txt", model, BATCH, 60));
	}

	private Worker start(List<String> addresses, int index, String text, int batch, int joinSeconds) {
		return start(addresses, index, this.directory.resolve("refused"), text, "baseline", batch, joinSeconds);
	}

	private Worker start(List<String> addresses, int index, Path output, String text, String model, int batch,
			int joinSeconds) {
		Worker worker = new Worker(new Workers(addresses, index), List.of(output.toString(),
				shared.resolve(text).toString(), model, String.valueOf(batch), String.valueOf(joinSeconds)));
		this.running.add(worker);
		return worker;
	}

	private static void finish(List<Worker> workers) {
		workers.forEach((worker) -> assertThat(worker.exitCode()).as(worker.toString()).isZero());
	}

	private static List<String> addresses() {
		try (ServerSocket one = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
				ServerSocket other = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
			return List.of("127.0.0.1:" + one.getLocalPort(), "127.0.0.1:" + other.getLocalPort());
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	private static float difference(Path one, Path other) {
		try (TensorFile first = TensorFile.open(one); TensorFile second = TensorFile.open(other)) {
			assertThat(first.entries().keySet()).isEqualTo(second.entries().keySet()).isNotEmpty();
			float largest = 0;
			for (String name : first.entries().keySet()) {
				float[] a = first.readFloats(name);
				float[] b = second.readFloats(name);
				largest = Math.max(largest,
						(float) IntStream.range(0, a.length)
							.mapToDouble((i) -> Math.abs(a[i] - b[i]))
							.max()
							.orElseThrow());
			}
			return largest;
		}
	}

	private static void train(Path output, Path text, String model, int batch, int accumulation, Duration joinTimeout,
			TrainingListener listener) {
		Calm.train((training) -> {
			if (model.equals("baseline")) {
				training.baseline("nano", (shape) -> shape.hiddenSize(16).heads(2),
						(options) -> options(options, STEPS, batch, accumulation).averaging(0.9));
			}
			else {
				training
					.autoencoder((shape) -> shape.hiddenSize(16).intermediateSize(32).latentSize(8),
							(options) -> options(options, AUTOENCODER_STEPS, batch, accumulation))
					.languageModel("nano",
							(shape) -> shape.hiddenSize(16).heads(2).headBlocks(1).noiseSize(8).samples(4).targets(5),
							(options) -> options(options, STEPS, batch, accumulation).averaging(0.9));
			}
			training.corpus(text)
				.tokenizer(new ByteTokenizer())
				.program(TinyModel.PROGRAM)
				.tokens(output.resolveSibling("tokens"))
				.listener(listener)
				.workerTimeout(Duration.ofSeconds(16))
				.joinTimeout(joinTimeout)
				.output(output);
		}).close();
	}

	private static TrainingOptions.Builder options(TrainingOptions.Builder options, long steps, int batch,
			int accumulation) {
		return options.steps(steps)
			.batch(batch)
			.accumulation(accumulation)
			.patches(8)
			.learningRate(3e-3)
			.warmup(0)
			.checkpointEvery(3);
	}

	/** A process, and what it writes. */
	private static final class Worker {

		private final Process process;

		private final List<String> output = new ArrayList<>();

		private final BufferedReader reader;

		Worker(Workers workers, List<String> arguments) {
			List<String> command = new ArrayList<>(List.of(
					Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx256m",
					"-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"), Main.class.getName()));
			command.addAll(arguments);
			ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
			builder.environment().put(Workers.VARIABLE, workers.json());
			try {
				this.process = builder.start();
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
			this.reader = this.process.inputReader(StandardCharsets.UTF_8);
		}

		void await(Predicate<String> expected) {
			String line = next();
			while (line != null && !expected.test(line)) {
				line = next();
			}
			assertThat(line).as("a line of\n" + this).isNotNull();
		}

		private String next() {
			try {
				String line = this.reader.readLine();
				if (line != null) {
					this.output.add(line);
				}
				return line;
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
		}

		int exitCode() {
			while (next() != null) {
			}
			try {
				assertThat(this.process.waitFor(1, TimeUnit.MINUTES)).isTrue();
			}
			catch (InterruptedException ex) {
				throw new IllegalStateException(ex);
			}
			return this.process.exitValue();
		}

		void signal(String name) {
			try {
				assertThat(new ProcessBuilder("kill", "-" + name, String.valueOf(this.process.pid())).start().waitFor())
					.isZero();
			}
			catch (IOException | InterruptedException ex) {
				throw new IllegalStateException(ex);
			}
		}

		void end() {
			this.process.destroyForcibly();
		}

		@Override
		public String toString() {
			return String.join("\n", this.output);
		}

	}

	/** A worker of the cluster in its environment. */
	static final class Main {

		private Main() {
		}

		public static void main(String[] arguments) {
			try {
				train(Path.of(arguments[0]), Path.of(arguments[1]), arguments[2], Integer.parseInt(arguments[3]), 1,
						Duration.ofSeconds(Integer.parseInt(arguments[4])), new TrainingListener() {
							@Override
							public void onStart(TrainingStart start) {
								System.out.println("start " + start.phase() + " " + start.firstStep() + " workers="
										+ start.settings().get("workers"));
							}

							@Override
							public void onStep(StepMetrics metrics) {
								System.out
									.println("step " + metrics.phase() + " " + metrics.step() + " " + metrics.more());
							}
						});
			}
			catch (InvalidInputException ex) {
				System.out.println(ex.getMessage());
				System.exit(2);
			}
			catch (LostWorkerException ex) {
				System.out.println(ex.getMessage());
				System.exit(3);
			}
			System.exit(0);
		}

	}

}

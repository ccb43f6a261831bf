package io.calm.mlflow;

import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.UUID;
import java.util.concurrent.locks.LockSupport;

import io.calm.Calm;
import io.calm.graph.ProgramOptions;
import io.calm.text.ByteTokenizer;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingStart;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.mlflow.api.proto.Service.Metric;
import org.mlflow.tracking.MlflowClient;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import static io.calm.mlflow.FakeTraining.LANGUAGE_MODEL;
import static org.assertj.core.api.Assertions.assertThat;

/**
 * What it costs to follow a training, and how fast points arrive. Figures are logged, not
 * asserted: run it with {@code -Dcalm.long=true}, alone on the machine.
 */
@ExtendWith(MlflowServer.class)
@EnabledIfSystemProperty(named = "calm.long", matches = "true")
class TrackingCostTest {

	private static final Logger LOG = LoggerFactory.getLogger(TrackingCostTest.class);

	/** Steps that are followed, after as many that are not. */
	private static final int BLOCK = 50;

	/** After each change, which are not counted. */
	private static final int SETTLING = 10;

	private static final int ROUNDS = 7;

	private static final int POINTS = 200_000;

	private final String experiment = "cost-" + UUID.randomUUID();

	private final URI server;

	private final Path directory;

	TrackingCostTest(URI server, @TempDir Path directory) {
		this.server = server;
		this.directory = directory;
	}

	/**
	 * One training, of which a block of steps is followed and the next is not: what is
	 * compared has the same machine, process and graph, seconds apart.
	 */
	@Test
	void speedOfATraining() throws IOException {
		Path text = Files.writeString(this.directory.resolve("corpus.txt"),
				"The quick brown fox jumps over the lazy dog. ".repeat(2000));
		Path mortal = Files.createDirectory(this.directory.resolve("mortal"));
		try (Gate gate = new Gate(this.server); MlflowServer killed = MlflowServer.start(mortal, Map.of())) {
			Alternating alternating = new Alternating(gate, killed);
			try (ByteTokenizer tokenizer = new ByteTokenizer()) {
				Calm.train((training) -> training.corpus(text)
					.tokenizer(tokenizer)
					.program(ProgramOptions.DEFAULT)
					.autoencoder((shape) -> shape.latentSize(32).hiddenSize(64).intermediateSize(128),
							(options) -> options.steps(1).batch(4).patches(16))
					.languageModel("nano", (shape) -> {
					}, (options) -> options.steps((long) ROUNDS * Mode.values().length * 2 * BLOCK)
						.batch(8)
						.patches(32)
						.checkpointEvery(0))
					.listener(alternating)
					.output(this.directory.resolve("model"))).close();
			}
			alternating.report();
		}
	}

	/** What the server does. */
	private enum Mode {

		ANSWERS, KILLED, HANGS, SAYS_500, SAYS_429, SAYS_401;

		void set(Gate gate) {
			gate.mode = switch (this) {
				case ANSWERS, KILLED -> Gate.Mode.OPEN;
				case HANGS -> Gate.Mode.SILENT;
				default -> {
					gate.status = Integer.parseInt(name().substring("SAYS_".length()));
					yield Gate.Mode.REFUSING;
				}
			};
		}

	}

	/** Followed and not, in turns. */
	private final class Alternating implements TrainingListener {

		private final Gate gate;

		private final MlflowServer killed;

		private final Map<Mode, List<Double>> ratios = new LinkedHashMap<>();

		private final Map<Mode, List<Double>> microseconds = new LinkedHashMap<>();

		/** Of one processor, what the listener's own threads took of it. */
		private final Map<Mode, List<Double>> shares = new LinkedHashMap<>();

		private final List<Double> alone = new ArrayList<>();

		private final List<Double> block = new ArrayList<>();

		private @Nullable TrainingStart start;

		private @Nullable MlflowListener tracking;

		private double untracked;

		private long latest;

		private long since;

		private long processorBefore;

		Alternating(Gate gate, MlflowServer killed) {
			this.gate = gate;
			this.killed = killed;
		}

		@Override
		public void onStart(TrainingStart start) {
			this.start = start;
		}

		@Override
		public void onStep(StepMetrics metrics) {
			if (!metrics.phase().equals(LANGUAGE_MODEL)) {
				return;
			}
			long now = System.nanoTime();
			int inBlock = (int) ((metrics.step() - 1) % BLOCK);
			if (inBlock >= SETTLING) {
				this.block.add((now - this.latest) / 1e6);
			}
			this.latest = now;
			long number = (metrics.step() - 1) / BLOCK;
			Mode mode = Mode.values()[(int) (number / 2 % Mode.values().length)];
			MlflowListener to = this.tracking;
			if (to != null) {
				to.onStep(metrics);
				this.microseconds.computeIfAbsent(mode, (key) -> new ArrayList<>())
					.add((System.nanoTime() - now) / 1e3);
				if (mode == Mode.KILLED && inBlock == BLOCK / 3) {
					this.killed.kill();
					this.latest = System.nanoTime();
				}
			}
			if (inBlock == BLOCK - 1) {
				change(mode, number);
			}
		}

		/** What happens here is not counted. */
		private void change(Mode mode, long number) {
			double median = quantile(this.block, 0.5);
			this.block.clear();
			MlflowListener to = this.tracking;
			if (to == null) {
				this.untracked = median;
				this.alone.add(median);
				mode.set(this.gate);
				MlflowListener followed = MlflowListener
					.of((options) -> options.trackingUri((mode == Mode.KILLED) ? this.killed.uri() : this.gate.uri())
						.experiment(TrackingCostTest.this.experiment)
						.spool(TrackingCostTest.this.directory.resolve("spool-" + number))
						.closeTimeout(Duration.ofMillis(100)));
				followed.onStart(Objects.requireNonNull(this.start));
				this.tracking = followed;
				this.processorBefore = processorNanos();
				this.since = System.nanoTime();
			}
			else {
				this.shares.computeIfAbsent(mode, (key) -> new ArrayList<>())
					.add((double) (processorNanos() - this.processorBefore) / (System.nanoTime() - this.since));
				this.ratios.computeIfAbsent(mode, (key) -> new ArrayList<>()).add(median / this.untracked);
				to.close();
				this.tracking = null;
			}
			this.latest = System.nanoTime();
		}

		void report() {
			LOG.info("a step that nobody follows: {}", format("median %.2f ms", quantile(this.alone, 0.5)));
			this.ratios.forEach((mode, pairs) -> {
				List<Double> calls = this.microseconds.getOrDefault(mode, List.of());
				LOG.info("server {}: {}", mode,
						format("a step takes %.4f of one that nobody follows (median of %d pairs, %.4f to %.4f);"
								+ " the listener's call takes %.1f µs (median), %.1f µs (99 %%),"
								+ " its threads %.2f %% of one processor (median), %.2f %% (most)",
								quantile(pairs, 0.5), pairs.size(), quantile(pairs, 0), quantile(pairs, 1),
								quantile(calls, 0.5), quantile(calls, 0.99),
								100 * quantile(this.shares.getOrDefault(mode, List.of()), 0.5),
								100 * quantile(this.shares.getOrDefault(mode, List.of()), 1)));
			});
		}

	}

	/**
	 * What threads that work for listeners have used so far, without those that ended,
	 * and with those by which the gate passes requests on to the server.
	 */
	private static long processorNanos() {
		ThreadMXBean threads = ManagementFactory.getThreadMXBean();
		return Arrays.stream(threads.getThreadInfo(threads.getAllThreadIds()))
			.filter(Objects::nonNull)
			.filter((thread) -> thread.getThreadName().startsWith("calm-mlflow")
					|| thread.getThreadName().startsWith("HttpClient"))
			.mapToLong((thread) -> Math.max(0, threads.getThreadCpuTime(thread.getThreadId())))
			.sum();
	}

	@Test
	void rateAndMemoryOfManyPoints() throws IOException {
		for (int round = 0; round < 2; round++) {
			LOG.info("sent in batches of 1000, with nothing around: {} points/s", format("%.0f", batches()));
			String experiment = this.experiment + "-" + round;
			Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
					"-Xmx64m", "-cp", System.getProperty("java.class.path"), Flood.class.getName(),
					this.server.toString(), experiment, this.directory.resolve("flood-" + round).toString())
				.redirectError(ProcessBuilder.Redirect.INHERIT)
				.start();
			String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
			LOG.info("by the listener, in a process of 64 MB of heap: {}", said.strip());
			assertThat(said).contains("dropped 0, complete true");
			Tracked.of(this.server.toString(), experiment).assertLosses(LANGUAGE_MODEL, POINTS / 6);
		}
	}

	/** The server's own limit. */
	private double batches() {
		MlflowClient client = new MlflowClient(this.server.toString());
		String run = client.createRun().getRunId();
		long start = System.nanoTime();
		for (int sent = 0; sent < POINTS; sent += MlflowApi.MOST_METRICS) {
			List<Metric> batch = new ArrayList<>();
			for (int i = sent; i < sent + MlflowApi.MOST_METRICS; i++) {
				batch.add(Metric.newBuilder()
					.setKey("metric" + i % 6)
					.setValue(i)
					.setStep(i / 6)
					.setTimestamp(System.currentTimeMillis())
					.build());
			}
			client.logBatch(run, batch, List.of(), List.of());
		}
		return POINTS / ((System.nanoTime() - start) / 1e9);
	}

	/** Says far more than a training would. */
	static final class Flood {

		private Flood() {
		}

		public static void main(String[] args) throws IOException {
			MlflowListener listener = MlflowListener.of((options) -> options.trackingUri(args[0])
				.experiment(args[1])
				.systemMetricsEvery(Duration.ZERO)
				.closeTimeout(Duration.ofMinutes(5)));
			FakeTraining training = new FakeTraining(listener, Path.of(args[2]));
			long steps = POINTS / 6;
			long start = System.nanoTime();
			training.start(LANGUAGE_MODEL, 1, steps);
			for (long step = 1; step <= steps; step++) {
				training.steps(LANGUAGE_MODEL, step, step, steps);
				// ten thousand steps a second
				LockSupport.parkNanos(50_000);
			}
			double offered = (System.nanoTime() - start) / 1e9;
			listener.onEnd(LANGUAGE_MODEL, steps);
			listener.close();
			double seconds = (System.nanoTime() - start) / 1e9;
			MlflowStatus status = listener.status().orElseThrow();
			String most = Files.readAllLines(Path.of("/proc/self/status"))
				.stream()
				.filter((line) -> line.startsWith("VmHWM"))
				.findFirst()
				.orElse("");
			System.out.println(format(
					"%d points in %.1f s, %.0f points/s (said within %.1f s); dropped %d, complete %s; memory of the"
							+ " process: %s",
					status.delivered(), seconds, status.delivered() / seconds, offered, status.dropped(),
					status.complete(), most));
		}

	}

	private static String format(String format, Object... values) {
		return String.format(Locale.ROOT, format, values);
	}

	private static double quantile(List<Double> values, double share) {
		List<Double> sorted = new ArrayList<>(values);
		sorted.sort(null);
		return sorted.get((int) (share * (sorted.size() - 1)));
	}

}

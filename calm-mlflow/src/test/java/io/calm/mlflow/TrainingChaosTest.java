package io.calm.mlflow;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.locks.ReentrantLock;
import java.util.stream.Stream;

import io.calm.Calm;
import io.calm.graph.ProgramOptions;
import io.calm.text.ByteTokenizer;
import io.calm.text.Corpus;
import io.calm.training.Phase;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingEnd;
import io.calm.training.TrainingListener;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunStatus;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import static io.calm.mlflow.FakeTraining.AUTOENCODER;
import static io.calm.mlflow.FakeTraining.LANGUAGE_MODEL;
import static org.assertj.core.api.Assertions.assertThat;

/**
 * One real training after the other, whose process and whose MLflow server are killed,
 * stopped and starved of disk at random. Each ends with the weights of one that was left
 * in peace, and the server has each of its steps once. {@code -Dcalm.chaos.minutes} is
 * how long that goes on, and {@code -Dcalm.chaos.seed}, which is logged, what is done to
 * whom, in which order and with which pauses. With {@code -Dcalm.chaos.scripted=true}
 * nothing is trained, only told: more happens on a machine that is slow.
 */
@Tag("chaos")
class TrainingChaosTest {

	private static final Logger LOG = LoggerFactory.getLogger(TrainingChaosTest.class);

	private static final double MINUTES = Double.parseDouble(System.getProperty("calm.chaos.minutes", "5"));

	private static final long SEED = Long.getLong("calm.chaos.seed", System.nanoTime());

	private static final boolean SCRIPTED = Boolean.getBoolean("calm.chaos.scripted");

	private static final Duration PATIENCE = Duration.ofMinutes(15);

	private static final int AUTOENCODER_STEPS = 24;

	private static final int STEPS = 96;

	/** Everything that can be done to a process. */
	private enum Fault {

		KILL, STOP, END, STARVE

	}

	private final Path temporary;

	/** Held by whoever disturbs the server, and by whoever needs it well. */
	private final ReentrantLock server = new ReentrantLock();

	private final CountDownLatch over = new CountDownLatch(1);

	private final Map<String, Integer> faults = new ConcurrentHashMap<>();

	private final List<String> findings = new ArrayList<>();

	private final boolean starving = run("prlimit", "--fsize", "--pid", String.valueOf(ProcessHandle.current().pid()));

	private int dropped;

	private int missing;

	private int interruptions;

	TrainingChaosTest(@TempDir Path temporary) {
		this.temporary = temporary;
	}

	@Test
	void trainings() throws IOException, InterruptedException {
		LOG.info("Trainings for {} minutes, -Dcalm.chaos.seed={}", MINUTES, SEED);
		if (!this.starving) {
			LOG.warn("No disk is starved: there is no prlimit on this system");
		}
		Round peaceful = new Round("peaceful", "");
		peaceful.start();
		peaceful.child().awaitEnd(PATIENCE);
		peaceful.child().process.destroyForcibly();
		assertThat(peaceful.child().trained).as("trained").isTrue();
		int rounds = 0;
		long begun = System.nanoTime();
		Path data = Files.createDirectory(this.temporary.resolve("server"));
		try (MlflowServer mortal = MlflowServer.start(data, Map.of())) {
			Thread tormentor = new Thread(() -> torment(mortal), "chaos-server");
			tormentor.start();
			Random random = new Random(SEED * 31 + 1);
			try {
				while (System.nanoTime() - begun < MINUTES * 60e9) {
					Round round = new Round("round-" + rounds++, mortal.uri());
					try {
						round.train(random);
					}
					finally {
						round.child().process.destroyForcibly();
					}
					this.server.lock();
					try {
						round.check(peaceful);
					}
					finally {
						this.server.unlock();
					}
				}
			}
			finally {
				this.over.countDown();
				tormentor.join();
			}
		}
		LOG.info(
				"seed {}: {} trainings of {} steps, faults {}, the processes began {} times; points dropped {}, missing {};"
						+ " wrong: {}",
				SEED, rounds, AUTOENCODER_STEPS + STEPS, this.faults, this.interruptions + rounds, this.dropped,
				this.missing, this.findings.size());
		assertThat(this.findings).isEmpty();
	}

	private static boolean run(String... command) {
		try {
			return new ProcessBuilder(command).redirectErrorStream(true)
				.redirectOutput(ProcessBuilder.Redirect.DISCARD)
				.start()
				.waitFor() == 0;
		}
		catch (IOException ex) {
			return false;
		}
		catch (InterruptedException ex) {
			throw new IllegalStateException(ex);
		}
	}

	private static void signal(List<Long> pids, String name) {
		pids.forEach((pid) -> run("kill", "-" + name, String.valueOf(pid)));
	}

	/** No file of them grows beyond that any more. */
	private static void limitFiles(List<Long> pids, String bytes) {
		pids.forEach((pid) -> run("prlimit", "--fsize=" + bytes + ":", "--pid", String.valueOf(pid)));
	}

	private Fault fault(Random random) {
		Fault fault = Fault.values()[random.nextInt(Fault.values().length)];
		return (fault == Fault.STARVE && !this.starving) ? Fault.KILL : fault;
	}

	private static long length(Random random) {
		return (long) (12_000 * Math.pow(random.nextDouble(), 2));
	}

	private void count(String victim, Fault fault, long length) {
		LOG.info("{}: {} for {} ms", victim, fault, length);
		this.faults.merge(victim + " " + fault, 1, Integer::sum);
	}

	private void torment(MlflowServer mortal) {
		Random random = new Random(SEED * 31 + 2);
		try {
			while (true) {
				long pause = random.nextInt(1_000, 25_000);
				Fault fault = fault(random);
				long length = length(random);
				int choice = random.nextInt(5000);
				if (this.over.await(pause, TimeUnit.MILLISECONDS)) {
					return;
				}
				this.server.lock();
				try {
					count("server", fault, length);
					List<Long> pids = mortal.pids();
					switch (fault) {
						case KILL -> mortal.kill();
						case STOP -> signal(pids, "STOP");
						case END -> signal(pids, "TERM");
						case STARVE -> limitFiles(pids, String.valueOf(mortal.database().toFile().length() + choice));
					}
					this.over.await(length, TimeUnit.MILLISECONDS);
					if (fault == Fault.STARVE) {
						limitFiles(pids, "unlimited");
					}
					else if (fault == Fault.STOP) {
						signal(pids, "CONT");
					}
					else {
						mortal.kill();
						mortal.start();
					}
				}
				finally {
					this.server.unlock();
				}
			}
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
	}

	/** One training, however many processes it takes. */
	private final class Round {

		private final String name;

		private final String uri;

		private final Path directory;

		private @Nullable Child child;

		private int dropped;

		Round(String name, String uri) throws IOException {
			this.name = name;
			this.uri = uri;
			this.directory = Files.createDirectory(TrainingChaosTest.this.temporary.resolve(name));
			Files.writeString(this.directory.resolve("corpus.txt"),
					"The quick brown fox jumps over the lazy dog. ".repeat(60));
		}

		Path model() {
			return this.directory.resolve("model");
		}

		private Path spool() {
			return this.directory.resolve("mlflow-spool");
		}

		Child child() {
			if (this.child == null) {
				throw new IllegalStateException("It has not begun");
			}
			return this.child;
		}

		void start() throws IOException {
			this.child = new Child(
					new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx256m",
							"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", System.getProperty("java.class.path"),
							(SCRIPTED ? Told.class : Training.class).getName(), this.uri, this.name,
							this.directory.toString())
						.redirectErrorStream(true)
						.start());
		}

		void train(Random random) throws IOException, InterruptedException {
			start();
			while (true) {
				long pause = random.nextInt(1_000, 20_000);
				Fault fault = fault(random);
				long length = length(random);
				int choice = random.nextInt(3000);
				if (fault == Fault.STARVE || choice % 4 > 0) {
					// most of them get as far as that, even on a slow machine
					child().awaitSteps(1);
				}
				if (!child().awaitEnd(Duration.ofMillis(pause))) {
					count("training", fault, length);
					suffer(fault, length, choice);
				}
				if (child().isAlive()) {
					continue;
				}
				child().awaitEnd(PATIENCE);
				this.dropped += child().dropped;
				if (Files.exists(model())) {
					return;
				}
				if (!child().disturbed) {
					TrainingChaosTest.this.findings.add(this.name + " ended by itself: " + child().output);
				}
				TrainingChaosTest.this.interruptions++;
				start();
			}
		}

		private void suffer(Fault fault, long length, int choice) throws InterruptedException {
			List<Long> pid = List.of(child().process.pid());
			child().disturbed = true;
			switch (fault) {
				case KILL -> child().process.destroyForcibly();
				case STOP -> signal(pid, "STOP");
				case END -> child().process.destroy();
				case STARVE -> limitFiles(pid, String.valueOf((choice % 3 == 0) ? 0 : spooled() + choice % 1000));
			}
			if (fault == Fault.STOP) {
				Thread.sleep(length);
				signal(pid, "CONT");
			}
			else {
				child().awaitEnd(Duration.ofMillis(length));
			}
			if (fault == Fault.STARVE) {
				limitFiles(pid, "unlimited");
				// it says what was dropped
				child().awaitSteps(2);
			}
			else if (fault == Fault.END) {
				child().awaitEnd(PATIENCE);
			}
		}

		private long spooled() {
			return spools().stream().mapToLong((file) -> file.toFile().length()).max().orElse(0);
		}

		private List<Path> spools() {
			try {
				return SpoolFile.in(spool());
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
		}

		private void finding(String what) {
			TrainingChaosTest.this.findings.add(this.name + ": " + what);
			LOG.error("{}: {}", this.name, what);
		}

		void check(Round peaceful) throws IOException {
			for (String file : List.of("model.safetensors", "config.json", "autoencoder/model.safetensors")) {
				if (!SCRIPTED && Files.mismatch(model().resolve(file), peaceful.model().resolve(file)) >= 0) {
					finding(file + " differs from that of an undisturbed training");
				}
			}
			try (Stream<Path> files = Files.list(this.directory)) {
				List<String> left = files.map((file) -> file.getFileName().toString())
					.filter((file) -> !List.of("model", "corpus.txt", "mlflow-spool", "tokens", ".model.lock")
						.contains(file))
					.toList();
				// of one that was killed after its model was there, nobody goes on
				if (!left.isEmpty() && child().trained) {
					finding("left behind: " + left);
				}
			}
			boolean sent = child().complete;
			if (sent && !spools().isEmpty() && this.dropped == 0) {
				finding("all was sent, and the spool is still there");
			}
			try {
				if (!spools().isEmpty()) {
					checkSpool();
				}
				checkServer(peaceful);
			}
			catch (AssertionError | RuntimeException ex) {
				finding(ex.toString());
			}
		}

		private void checkSpool() throws IOException {
			MlflowConnection connection = MlflowConnection.to(this.uri);
			MlflowReplay.Result first = MlflowReplay.send(spool(), connection);
			MlflowReplay.Result again = MlflowReplay.send(spool(), connection);
			if (first.refused() + first.busy() > 0 || again.points() > 0) {
				finding("sent " + first + ", then " + again);
			}
			for (Path file : spools()) {
				for (String line : Files.readAllLines(file)) {
					if (SpoolEntry.parse(line) == null) {
						finding("no line of a spool: " + line);
					}
				}
			}
		}

		private void checkServer(Round peaceful) {
			Tracked tracked = Tracked.of(this.uri, this.name);
			int lost = 0;
			for (Phase phase : List.of(AUTOENCODER, LANGUAGE_MODEL)) {
				Run run = tracked.phase(phase);
				assertStatus(phase.toString(), run);
				Map<Long, Double> expected = peaceful.child().losses(phase);
				Map<Long, Double> there = tracked.curve(run, "loss");
				for (Map.Entry<Long, Double> each : expected.entrySet()) {
					Double loss = there.remove(each.getKey());
					if (loss == null) {
						lost++;
						LOG.info("{}: {} has no step {}", this.name, phase, each.getKey());
					}
					else if (!loss.equals(each.getValue())) {
						finding(phase + ", step " + each.getKey() + ": " + loss + " instead of " + each.getValue());
					}
				}
				if (!there.isEmpty()) {
					finding(phase + " has steps of nobody: " + there);
				}
			}
			assertStatus("training", tracked.training());
			assertThat(tracked.runs()).hasSize(3);
			TrainingChaosTest.this.dropped += this.dropped;
			TrainingChaosTest.this.missing += lost;
			LOG.info("{}: steps missing {}, records dropped {}", this.name, lost, this.dropped);
			if (lost > this.dropped) {
				finding(lost + " steps are missing, only " + this.dropped + " records were dropped");
			}
		}

		private void assertStatus(String what, Run run) {
			RunStatus status = run.getInfo().getStatus();
			if (status != RunStatus.FINISHED) {
				finding(what + " is " + status);
			}
		}

	}

	/** The process of a training, and what it says. */
	private static final class Child {

		private final Process process;

		private final Thread reader;

		private final Map<String, Map<Long, Double>> losses = new ConcurrentHashMap<>();

		private final AtomicInteger steps = new AtomicInteger();

		private final StringBuffer output = new StringBuffer();

		private volatile boolean trained;

		private volatile boolean complete;

		private volatile int dropped;

		private boolean disturbed;

		Child(Process process) {
			this.process = process;
			this.reader = new Thread(this::read, "chaos-output");
			this.reader.start();
		}

		private void read() {
			try (BufferedReader lines = this.process.inputReader(StandardCharsets.UTF_8)) {
				for (String line = lines.readLine(); line != null; line = lines.readLine()) {
					heard(line, line.split(" "));
				}
			}
			catch (IOException ex) {
				// it was killed
			}
		}

		private void heard(String line, String[] words) {
			if (words[0].equals("step") && words.length == 5) {
				this.losses.computeIfAbsent(words[1], (phase) -> new ConcurrentHashMap<>())
					.put(Long.valueOf(words[2]), Double.valueOf(words[3]));
				this.dropped = Integer.parseInt(words[4]);
				this.steps.incrementAndGet();
			}
			else if (words[0].equals("closed") && words.length == 3) {
				this.dropped = Integer.parseInt(words[1]);
				this.complete = Boolean.parseBoolean(words[2]);
			}
			else if (words[0].equals("trained")) {
				this.trained = true;
			}
			else {
				this.output.append(line).append('\n');
			}
		}

		Map<Long, Double> losses(Phase phase) {
			return new TreeMap<>(this.losses.getOrDefault(phase.toString(), Map.of()));
		}

		boolean isAlive() {
			return this.process.isAlive();
		}

		/** Whether it ends in this time; then all that it said has been heard. */
		boolean awaitEnd(Duration time) throws InterruptedException {
			boolean ended = this.process.waitFor(time.toMillis(), TimeUnit.MILLISECONDS);
			if (ended) {
				this.reader.join();
			}
			return ended;
		}

		/** Waits for some steps more, or for the end. */
		void awaitSteps(int more) throws InterruptedException {
			int enough = this.steps.get() + more;
			while (isAlive() && !this.trained && this.steps.get() < enough) {
				Thread.sleep(20);
			}
		}

	}

	/** A training that says each step, and takes its time. */
	static final class Training implements TrainingListener {

		private final MlflowListener listener;

		private Training(MlflowListener listener) {
			this.listener = listener;
		}

		public static void main(String[] args) throws Exception {
			Path directory = Path.of(args[2]);
			Corpus corpus = Corpus.of(directory.resolve("corpus.txt"));
			MlflowListener listener = listener(args);
			try (listener; ByteTokenizer tokenizer = new ByteTokenizer()) {
				Calm.train((training) -> training.corpus(corpus)
					.evaluation(corpus)
					.tokenizer(tokenizer)
					.program(ProgramOptions.DEFAULT)
					.autoencoder((shape) -> shape.latentSize(8).hiddenSize(64).intermediateSize(64),
							(options) -> options.steps(AUTOENCODER_STEPS)
								.batch(4)
								.patches(16)
								.checkpointEvery(7)
								.evaluateEvery(12)
								.seed(3))
					.languageModel("nano", (shape) -> {
					}, (options) -> options.steps(STEPS).batch(4).patches(16).checkpointEvery(5).seed(5))
					.listener(listener)
					.listener(new Training(listener))
					.output(directory.resolve("model"))).close();
				System.out.println("trained");
			}
			finally {
				closed(listener);
			}
		}

		private static MlflowListener listener(String[] args) {
			return MlflowListener.of((options) -> {
				options.experiment(args[1])
					.systemMetricsEvery(Duration.ZERO)
					.sendEvery(Duration.ofMillis(50))
					.closeTimeout(Duration.ofSeconds(10))
					.connection((to) -> to.timeout(Duration.ofSeconds(5)));
				if (!args[0].isEmpty()) {
					options.trackingUri(args[0]);
				}
			});
		}

		private static void closed(MlflowListener listener) {
			MlflowStatus status = listener.status().orElse(null);
			System.out.println("closed " + ((status != null) ? status.dropped() + " " + status.complete() : "0 false"));
		}

		@Override
		public void onStep(StepMetrics metrics) {
			System.out.println("step " + metrics.phase() + " " + metrics.step() + " " + metrics.loss() + " "
					+ this.listener.status().map(MlflowStatus::dropped).orElse(0L));
			try {
				Thread.sleep(100);
			}
			catch (InterruptedException ex) {
				Thread.currentThread().interrupt();
			}
		}

	}

	/** What a training says, without one; it goes on from its checkpoint, too. */
	static final class Told {

		private Told() {
		}

		public static void main(String[] args) throws Exception {
			Path directory = Path.of(args[2]);
			MlflowListener listener = Training.listener(args);
			FakeTraining told = new FakeTraining(listener, directory);
			try (listener) {
				told.begin();
				tell(told, listener, AUTOENCODER, AUTOENCODER_STEPS);
				tell(told, listener, LANGUAGE_MODEL, STEPS);
				Files.createDirectory(directory.resolve("model"));
				told.end(TrainingEnd.Outcome.FINISHED);
				for (Phase phase : List.of(AUTOENCODER, LANGUAGE_MODEL)) {
					Files.delete(directory.resolve(phase.toString()));
				}
				System.out.println("trained");
			}
			finally {
				Training.closed(listener);
			}
		}

		private static void tell(FakeTraining told, MlflowListener listener, Phase phase, int steps)
				throws IOException {
			Path checkpoint = told.directory().resolve(phase.toString());
			long done = Files.exists(checkpoint) ? Long.parseLong(Files.readString(checkpoint)) : 0;
			told.start(phase, done + 1, steps);
			Training printed = new Training(listener);
			try {
				while (done < steps) {
					done++;
					told.steps(phase, done, done, steps);
					printed.onStep(new StepMetrics(phase, done, steps, FakeTraining.loss(done), 0, 0, 0, 0, Map.of()));
					if (done % 5 == 0 || done == steps) {
						Path next = told.directory().resolve(phase + ".next");
						Files.writeString(next, String.valueOf(done));
						Files.move(next, checkpoint, StandardCopyOption.ATOMIC_MOVE);
					}
				}
			}
			catch (IOException ex) {
				listener.onFailure(phase, new UncheckedIOException(ex));
				throw ex;
			}
			listener.onEnd(phase, done);
		}

	}

}

package io.calm.mlflow;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;

import io.calm.input.InvalidInputException;
import io.calm.mlflow.SpoolEntry.Artifact;
import io.calm.mlflow.SpoolEntry.End;
import io.calm.mlflow.SpoolEntry.Metrics;
import io.calm.mlflow.SpoolEntry.Start;
import io.calm.mlflow.SpoolEntry.Training;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Records one training or study: a thread writes what is offered into the spool, another
 * sends the spool to the server. Both end by themselves once the training's run has ended
 * and what can be sent is sent. How far that is, the {@link State} says.
 */
final class Recorder {

	/** Places in the queue that metrics leave to what a run cannot do without. */
	private static final int RESERVED = 64;

	private static final long FIRST_PAUSE = 500;

	private static final long LONGEST_PAUSE = 10_000;

	/** Between attempts while somebody waits for the end. */
	private static final long LAST_PAUSE = 300;

	/** How long a checkpoint waits for the spool. */
	private static final long LONGEST_OPENING = 5000;

	/** What a power failure may take, in nanoseconds. */
	private static final long SYNC_EVERY = 1_000_000_000;

	/** What a recorder does, in this order; it may leave some of it out. */
	private enum State {

		/** The spool is being opened; entries wait in the queue. */
		OPENING,

		/** Entries are written and sent as they come. */
		RECORDING,

		/** No further entries are taken; those in the queue are written. */
		CLOSING,

		/** The spool has all entries; the rest is sent. */
		SENDING,

		/** The server has all of the training. */
		SENT,

		/** The spool keeps what the server does not have. */
		KEPT

	}

	private static final Logger LOG = LoggerFactory.getLogger(Recorder.class);

	private final MlflowOptions options;

	private final Path directory;

	private final String key;

	private final Start begin;

	private final boolean goesOn;

	private final BlockingQueue<SpoolEntry> queue;

	private final SystemMetrics system = new SystemMetrics(new NvidiaGpus());

	private final AtomicLong recorded = new AtomicLong();

	private final AtomicLong dropped = new AtomicLong();

	/** Entries that were taken into the queue. */
	private final AtomicLong offered = new AtomicLong();

	/** Those of them that are in the spool, or could not be written. */
	private final AtomicLong handled = new AtomicLong();

	private final Thread writer = new Thread(this::write, "calm-mlflow-spool");

	private final Thread sender = new Thread(this::send, "calm-mlflow-sender");

	private volatile State state = State.OPENING;

	private volatile @Nullable SpoolFile spool;

	private volatile @Nullable Delivery delivery;

	/** The run of the training, once the server has told it. */
	private volatile @Nullable String runId;

	private volatile @Nullable String error;

	private volatile @Nullable RuntimeException failure;

	/**
	 * Whether the training has a model. Written by one thread, read by the other after
	 * it.
	 */
	private boolean finished;

	private boolean dropTold;

	private long syncedAt = System.nanoTime();

	/**
	 * Begins to record.
	 * @param directory of the spool
	 * @param key names what is recorded, unless there is a spool of it
	 * @param begin how it begins
	 * @param goesOn whether it does so where it was interrupted
	 */
	Recorder(MlflowOptions options, Path directory, String key, Start begin, boolean goesOn) {
		this.options = options;
		this.directory = directory;
		this.key = key;
		this.begin = begin;
		this.goesOn = goesOn;
		this.queue = new ArrayBlockingQueue<>(options.queue() + RESERVED);
		this.writer.setDaemon(true);
		this.sender.setDaemon(true);
		this.writer.start();
	}

	/**
	 * The one place where the state changes, and only forwards: whoever comes late says
	 * nothing new.
	 */
	private synchronized void enter(State next) {
		if (!hasReached(next)) {
			this.state = next;
			notifyAll();
		}
	}

	private boolean hasReached(State other) {
		return this.state.compareTo(other) >= 0;
	}

	/** Waits for a state, or for no longer than that; whether it has been reached. */
	private synchronized boolean await(State other, long milliseconds) throws InterruptedException {
		long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(milliseconds);
		while (!hasReached(other)) {
			long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
			if (left <= 0) {
				return false;
			}
			wait(left);
		}
		return true;
	}

	/** Never waits: what does not fit is dropped and counted. */
	void offer(SpoolEntry entry) {
		boolean room = !(entry instanceof Metrics) || this.queue.remainingCapacity() > RESERVED;
		if (hasReached(State.CLOSING) || !room || !this.queue.offer(entry)) {
			this.dropped.incrementAndGet();
		}
		else {
			this.offered.incrementAndGet();
		}
	}

	/**
	 * Waits until what was offered before is in the spool, from which a kill takes
	 * nothing, but not for a disk that hangs.
	 */
	synchronized void awaitWritten() {
		long wanted = this.offered.get();
		long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(LONGEST_OPENING);
		try {
			while (this.handled.get() < wanted && this.writer.isAlive() && System.nanoTime() < deadline) {
				wait(50);
			}
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
	}

	/**
	 * Keeps a checkpoint as it is now and has it sent.
	 * @param name of the artifact; an earlier one of the same name that has not been sent
	 * need not be any more
	 */
	void offerCheckpoint(String phase, long step, Path checkpoint, String name) {
		String kept = "checkpoints/" + Delivery.key(phase) + "/" + name + "/" + step;
		offerFiles(phase, checkpoint, kept, "checkpoints/" + name, true);
	}

	/** Keeps a file of the whole as it is now and has it sent. */
	void offerFile(Path file, String name) {
		offerFiles(SpoolEntry.PARENT, file, "artifacts/" + Delivery.key(name), name, false);
	}

	private void offerFiles(String run, Path original, String kept, String name, boolean replacing) {
		try {
			// the thread of a training that is being interrupted may not wait
			boolean open = hasReached(State.RECORDING) || await(State.RECORDING, LONGEST_OPENING);
			SpoolFile file = open ? this.spool : null;
			if (file == null || !file.keep(original, kept)) {
				this.dropped.incrementAndGet();
				return;
			}
			if (replacing) {
				deleteOlder(file.files().resolve(kept));
			}
			offer(new Artifact(run, System.currentTimeMillis(), kept, name));
		}
		catch (IOException ex) {
			drop(1, ex);
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
	}

	private static void deleteOlder(Path kept) throws IOException {
		try (Stream<Path> siblings = Files.list(kept.getParent())) {
			for (Path sibling : siblings.filter((path) -> !path.equals(kept)).toList()) {
				SpoolFile.deleteAll(sibling);
			}
		}
	}

	/** No further entries come. */
	void finish() {
		enter(State.CLOSING);
	}

	/** Waits until everything is where it belongs, or no longer. */
	void close(Duration limit) {
		finish();
		// a training that was interrupted has something to say all the same
		boolean interrupted = Thread.interrupted();
		long deadline = System.nanoTime() + limit.toNanos();
		try {
			// the spool is written whatever the limit: it is what remains
			this.writer.join();
			this.sender.join(Math.max(1, (deadline - System.nanoTime()) / 1_000_000));
			if (this.sender.isAlive()) {
				this.sender.interrupt();
				this.sender.join();
			}
		}
		catch (InterruptedException ex) {
			this.sender.interrupt();
			interrupted = true;
		}
		if (interrupted) {
			Thread.currentThread().interrupt();
		}
		MlflowStatus status = status();
		if (status.dropped() > 0) {
			LOG.warn("{} records of the training could not be kept for MLflow", status.dropped());
		}
		if (this.options.connection().isPresent() && !status.complete()) {
			LOG.warn("Not all of the training has reached MLflow; it is in {}, from which 'calm mlflow-replay' sends"
					+ " it later", status.spool().orElse(this.directory));
		}
	}

	MlflowStatus status() {
		SpoolFile file = this.spool;
		Delivery sent = this.delivery;
		return new MlflowStatus(this.recorded.get(), this.dropped.get(), (sent != null) ? sent.delivered() : 0,
				(sent != null) ? sent.refused() : 0, this.state == State.SENT,
				Optional.ofNullable(file).map(SpoolFile::path), Optional.ofNullable(this.runId),
				Optional.ofNullable(this.error));
	}

	/** Waits until the server knows the run. */
	void awaitRun() {
		Duration limit = this.options.connection().map(MlflowConnection::timeout).orElse(Duration.ZERO);
		try {
			while (this.failure == null && this.runId == null && this.writer.isAlive()
					&& !await(State.SENDING, Math.min(50, limit.toMillis()))) {
				// each of the sender's calls has a deadline
			}
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
	}

	/** Throws what {@code failFast} asks for. */
	void check() {
		RuntimeException reason = this.failure;
		if (reason != null) {
			throw reason;
		}
	}

	private void write() {
		SpoolFile file = null;
		try {
			file = openSpool();
			this.spool = file;
		}
		catch (IOException | RuntimeException ex) {
			this.failure = SpoolFile.unusable(this.directory, ex);
			LOG.error("Nothing of this training will reach MLflow: {}", this.failure.getMessage());
		}
		enter(State.RECORDING);
		boolean sends = file != null && this.options.connection().isPresent();
		if (sends) {
			this.sender.start();
		}
		try {
			writeQueue(file);
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
		finally {
			if (file != null && !sends) {
				closeSpool(file, false);
			}
			enter(sends ? State.SENDING : State.KEPT);
		}
	}

	private SpoolFile openSpool() throws IOException {
		Optional<SpoolFile> found = Optional.empty();
		if (!this.begin.directory().isEmpty()) {
			// one that was killed before its first checkpoint does the same once more
			found = this.goesOn ? SpoolFile.find(this.directory, this.begin.directory())
					: SpoolFile.findKilled(this.directory, this.begin);
		}
		if (found.isPresent()) {
			if (isOf(found.get(), this.options.runId())) {
				return found.get();
			}
			found.get().close();
		}
		Map<String, String> tags = new LinkedHashMap<>(Origin.tags());
		tags.putAll(this.options.tags());
		tags.replaceAll((name, value) -> mask(value));
		return SpoolFile.create(this.directory,
				new Training(SpoolEntry.VERSION, this.key, System.currentTimeMillis(), this.options.experiment(),
						this.options.experimentId().orElse(null), this.options.run().orElse(null),
						this.options.runId().orElse(null), tags));
	}

	/** Whether what there is is what was asked for. */
	private boolean isOf(SpoolFile file, Optional<String> runId) throws IOException {
		SpoolFile.Reader reader = file.reader();
		for (String line = reader.next(); line != null; line = reader.next()) {
			SpoolEntry entry = SpoolEntry.parse(line);
			if (entry instanceof Training training) {
				return runId.isEmpty() || runId.get().equals(training.runId());
			}
		}
		return true;
	}

	private String mask(String text) {
		return this.options.connection()
			.map((connection) -> connection.mask(text))
			.orElseGet(() -> MlflowConnection.maskAddresses(text));
	}

	private void writeQueue(@Nullable SpoolFile file) throws InterruptedException {
		long sampleAt = System.nanoTime() + this.options.systemMetricsEvery().toNanos();
		Metrics sampled = null;
		List<SpoolEntry> entries = new ArrayList<>();
		while (true) {
			boolean last = hasReached(State.CLOSING);
			SpoolEntry first = this.queue.poll(last ? 0 : 100, TimeUnit.MILLISECONDS);
			if (first == null) {
				if (last) {
					return;
				}
				continue;
			}
			entries.add(first);
			this.queue.drainTo(entries, 1000);
			int taken = entries.size();
			Metrics newest = null;
			for (SpoolEntry entry : entries) {
				newest = (entry instanceof Metrics metrics) ? metrics : newest;
			}
			// once for a step, so that its steps rise like those of all metrics
			if (newest != null && !this.options.systemMetricsEvery().isZero() && System.nanoTime() >= sampleAt
					&& isLater(newest, sampled)) {
				sampleAt = System.nanoTime() + this.options.systemMetricsEvery().toNanos();
				sampled = newest;
				entries.add(entries.indexOf(newest) + 1,
						new Metrics(newest.run(), System.currentTimeMillis(), newest.step(), this.system.now()));
			}
			append(file, entries);
			entries.clear();
			tellHandled(taken);
		}
	}

	private synchronized void tellHandled(int entries) {
		this.handled.addAndGet(entries);
		notifyAll();
	}

	private static boolean isLater(Metrics metrics, @Nullable Metrics than) {
		return than == null || !metrics.run().equals(than.run()) || metrics.step() > than.step();
	}

	private void append(@Nullable SpoolFile file, List<SpoolEntry> entries) {
		long points = 0;
		End ended = null;
		try {
			if (file == null) {
				this.dropped.addAndGet(entries.size());
				return;
			}
			for (SpoolEntry entry : entries) {
				if (entry instanceof Metrics metrics) {
					points += metrics.values().size();
				}
				if (entry instanceof End end && end.run().equals(SpoolEntry.PARENT)) {
					ended = end;
				}
				file.append(entry);
			}
			file.flush();
			this.recorded.addAndGet(points);
			if (ended != null) {
				// not before it is in the spool, which is deleted once all of it is sent
				this.finished = ended.status().equals("FINISHED");
			}
			if (ended != null || System.nanoTime() - this.syncedAt >= SYNC_EVERY) {
				sync(file);
			}
		}
		catch (IOException ex) {
			drop(entries.size(), ex);
		}
	}

	private void sync(SpoolFile file) {
		this.syncedAt = System.nanoTime();
		try {
			file.sync();
		}
		catch (IOException ex) {
			// it is written, and counts
			drop(0, ex);
		}
	}

	private void drop(int count, IOException ex) {
		this.dropped.addAndGet(count);
		if (this.options.failFast()) {
			this.failure = SpoolFile.unusable(this.directory, ex);
		}
		if (!this.dropTold) {
			this.dropTold = true;
			LOG.warn("Cannot keep records for MLflow in {}: {}", this.directory, ex.toString());
		}
	}

	private void send() {
		SpoolFile file = this.spool;
		if (file == null) {
			return;
		}
		boolean sent = false;
		try {
			Delivery to = new Delivery(new MlflowApi(this.options.connection().orElseThrow()), file.files());
			this.delivery = to;
			sendAll(file, to);
			sent = to.refused() == 0;
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
		catch (IOException | RuntimeException ex) {
			this.error = ex.toString();
			if (this.options.failFast()) {
				this.failure = SpoolFile.unusable(file.path(), ex);
			}
			LOG.error("Sending to MLflow has ended; the rest stays in {}", file.path(), ex);
		}
		finally {
			// not before the other thread is done with it
			Thread.interrupted();
			joinWriter();
			closeSpool(file, sent && this.finished);
			enter(sent ? State.SENT : State.KEPT);
		}
	}

	private void joinWriter() {
		try {
			this.writer.join();
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
	}

	private void closeSpool(SpoolFile file, boolean delete) {
		try {
			if (delete) {
				file.delete();
			}
			else {
				file.close();
			}
		}
		catch (IOException ex) {
			LOG.warn("Cannot {} {}: {}", delete ? "delete" : "close", file.path(), ex.toString());
		}
	}

	private void sendAll(SpoolFile file, Delivery to) throws IOException, InterruptedException {
		SpoolFile.Reader reader = file.reader();
		List<SpoolEntry> chunk = new ArrayList<>();
		long pause = FIRST_PAUSE;
		while (true) {
			// in this order: what is written before is read after
			boolean last = hasReached(State.SENDING);
			boolean full = chunk.isEmpty() ? reader.next(chunk) : true;
			if (chunk.isEmpty() && last) {
				return;
			}
			try {
				to.send(chunk);
				chunk.clear();
				pause = FIRST_PAUSE;
				this.runId = to.runId();
				succeeded(to);
			}
			catch (MlflowException ex) {
				if (Thread.interrupted()) {
					throw new InterruptedException();
				}
				this.runId = to.runId();
				failed(ex, file);
				Duration asked = ex.retryAfter();
				long own = pause / 2 + ThreadLocalRandom.current().nextLong(pause / 2);
				pause((asked != null) ? Math.max(own, asked.toMillis()) : own);
				pause = Math.min(2 * pause, LONGEST_PAUSE);
				continue;
			}
			if (!full && !last && await(State.CLOSING, this.options.sendEvery().toMillis())) {
				this.writer.join();
			}
		}
	}

	private void pause(long milliseconds) throws InterruptedException {
		if (await(State.CLOSING, milliseconds)) {
			Thread.sleep(Math.min(milliseconds, LAST_PAUSE));
		}
	}

	private void succeeded(Delivery to) {
		if (this.error != null) {
			LOG.info("MLflow answers again");
			this.error = null;
		}
		if (this.options.failFast() && to.refused() > 0) {
			this.failure = new InvalidInputException("MLflow", "the server has refused records of the training",
					"look into the log for what it said");
		}
	}

	private void failed(MlflowException ex, SpoolFile file) {
		RuntimeException told = ex.toInvalidInput();
		if (this.error == null) {
			LOG.warn("MLflow: {}; until then the training is recorded in {}", told.getMessage(), file.path());
		}
		this.error = told.getMessage();
		if (this.options.failFast()) {
			this.failure = told;
		}
	}

}

package io.calm.cluster;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

import io.calm.graph.Call;
import io.calm.graph.Device;
import io.calm.graph.Precision;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.WorkerServer;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.tensorflow.Operand;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.types.TFloat32;

/**
 * The workers of a training, once all of them are there. Each asks others every second
 * whether they still are. If one is not, whatever waits for it ends with a
 * {@link LostWorkerException}.
 */
public final class Cluster implements AutoCloseable {

	private static final Logger LOG = LoggerFactory.getLogger(Cluster.class);

	/** How many numbers {@link #exchange} takes. */
	private static final int WIDTH = 96;

	private static final Duration EVERY = Duration.ofSeconds(1);

	/** What a training has to end by itself, when a worker is lost. */
	private static final Duration GRACE = Duration.ofSeconds(15);

	private static final Duration LAST_MEETING = Duration.ofSeconds(45);

	/** How TensorFlow names the worker that a call has failed at. */
	private static final Pattern REMOTE = Pattern.compile("remote target /job:worker/replica:0/task:(\\d+)");

	private final Workers workers;

	private final Precision precision;

	private final WorkerServer server;

	private final Presence presence;

	/** A worker is lost that twice does not answer for so long. */
	private final Duration silence;

	private final Consumer<LostWorkerException> onLost;

	/** Those of which a call waits for other workers. */
	private final Set<Program> waiting = new HashSet<>();

	private final Exchange exchange;

	private final AtomicReference<@Nullable LostWorkerException> lost = new AtomicReference<>();

	private volatile boolean closed;

	private @Nullable Thread watch;

	private Cluster(Workers workers, Precision precision, WorkerServer server, Duration silence,
			Consumer<LostWorkerException> onLost) {
		this.workers = workers;
		this.precision = precision;
		this.server = server;
		this.silence = silence;
		this.onLost = onLost;
		this.presence = Presence.of(server, workers);
		this.exchange = Exchange.of(server, workers.count() * WIDTH * Long.BYTES / 2);
	}

	/**
	 * Starts this worker and waits for the others.
	 * @param workers who they are
	 * @param device what they compute on
	 * @param precision of gradients on their way, fp32 or bf16
	 * @param patience how long to wait
	 * @param timeout after which a worker that does not answer is lost
	 * @param onLost is called if a worker is lost and this cluster is not closed within
	 * 15 seconds, because its thread computes or evaluates; may end the process
	 * @return the workers; to be closed
	 * @throws LostWorkerException if one does not come
	 * @throws InvalidInputException if this worker's port cannot be used
	 */
	public static Cluster join(Workers workers, Device device, Precision precision, Duration patience, Duration timeout,
			Consumer<LostWorkerException> onLost) {
		WorkerServer server = WorkerServer.start(workers.addresses(), workers.index(), device);
		Cluster cluster = new Cluster(workers, precision, server, timeout.dividedBy(2), onLost);
		CompletableFuture<Void> met = new CompletableFuture<>();
		daemon("calm-join", () -> {
			try {
				cluster.meet();
				met.complete(null);
			}
			catch (RuntimeException | Error ex) {
				met.completeExceptionally(ex);
			}
		});
		try {
			met.get(patience.toMillis(), TimeUnit.MILLISECONDS);
			cluster.watch = daemon("calm-workers", cluster::watch);
			return cluster;
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
			throw cluster.ended(new LostWorkerException("waiting for the other workers was interrupted", ex));
		}
		catch (TimeoutException ex) {
			throw cluster.ended(cluster.late(patience, ex));
		}
		catch (ExecutionException ex) {
			throw cluster.ended((ex.getCause() instanceof RuntimeException cause) ? cause
					: new LostWorkerException("the workers do not come together: " + ex.getCause(), ex));
		}
	}

	private static Thread daemon(String name, Runnable action) {
		Thread thread = new Thread(action, name);
		thread.setDaemon(true);
		thread.start();
		return thread;
	}

	private void meet() {
		this.presence.set(Presence.JOINING);
		LOG.info("Waiting for {} workers: {}", this.workers.count() - 1, String.join(", ", this.workers.addresses()));
		for (int worker = 0; worker < this.workers.count(); worker++) {
			while (!this.closed && !isJoining(worker)) {
				pause(Duration.ofMillis(200));
			}
		}
		exchange();
		this.presence.set(Presence.TRAINING);
	}

	/** One that trains is left over from before, and will miss the others soon. */
	private boolean isJoining(int worker) {
		try {
			return this.presence.of(worker, this.silence) == Presence.JOINING;
		}
		catch (TensorFlowException ex) {
			// it has not come yet, or just begins
			LOG.debug("Worker {} is not there yet", worker, ex);
			return false;
		}
	}

	private LostWorkerException late(Duration patience, Exception cause) {
		List<String> missing = IntStream.range(0, this.workers.count())
			.filter((worker) -> worker != this.workers.index() && !listens(this.workers.addresses().get(worker)))
			.mapToObj(this::name)
			.toList();
		return new LostWorkerException(
				(missing.isEmpty() ? "not all workers have joined" : String.join(" and ", missing) + " has not come")
						+ " within " + patience.toSeconds() + " s; start all workers again",
				cause);
	}

	private static boolean listens(String address) {
		int colon = address.lastIndexOf(':');
		try (Socket socket = new Socket()) {
			socket.connect(new InetSocketAddress(address.substring(0, colon).replaceAll("[\\[\\]]", ""),
					Integer.parseInt(address.substring(colon + 1))), 1000);
			return true;
		}
		catch (IOException ex) {
			return false;
		}
	}

	private RuntimeException ended(RuntimeException ex) {
		close();
		return ex;
	}

	/** The first worker looks after all others, and they after the first. */
	private void watch() {
		int[] watched = this.workers.isFirst() ? IntStream.range(1, this.workers.count()).toArray() : new int[] { 0 };
		int[] silences = new int[this.workers.count()];
		while (!this.closed && this.lost.get() == null) {
			for (int worker : watched) {
				long asked = System.nanoTime();
				try {
					boolean ended = this.presence.of(worker, this.silence) == Presence.ENDED;
					silences[worker] = 0;
					if (ended && !this.closed) {
						lose(name(worker) + " has ended and says why", null);
						return;
					}
				}
				catch (RuntimeException ex) {
					boolean silent = System.nanoTime() - asked > this.silence.toNanos() / 2;
					if (!this.closed && (!silent || ++silences[worker] > 1)) {
						lose(name(worker) + (silent ? " does not answer" : " has gone"), ex);
						return;
					}
				}
			}
			pause(EVERY);
		}
	}

	private void lose(String what, @Nullable RuntimeException cause) {
		LostWorkerException ex = lost(what, cause);
		daemon("calm-cancel", () -> {
			synchronized (this.waiting) {
				this.waiting.forEach(this.server::cancel);
			}
		});
		long end = System.nanoTime() + GRACE.toNanos();
		while (!this.closed && System.nanoTime() < end) {
			pause(Duration.ofMillis(200));
		}
		if (!this.closed) {
			this.onLost.accept(ex);
		}
	}

	/** The first that goes is named. */
	private LostWorkerException lost(String what, @Nullable RuntimeException cause) {
		LostWorkerException ex = new LostWorkerException(
				what + "; start all workers again to resume at the last checkpoint", cause);
		LostWorkerException before = this.lost.compareAndExchange(null, ex);
		return (before != null) ? before : ex;
	}

	private String name(int worker) {
		return "worker " + worker + " (" + this.workers.addresses().get(worker) + ")";
	}

	private static void pause(Duration time) {
		try {
			Thread.sleep(time.toMillis());
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
	}

	/**
	 * Who the workers are.
	 * @return their addresses, and the index of this one
	 */
	public Workers workers() {
		return this.workers;
	}

	/**
	 * How gradients are sent.
	 * @return fp32 or bf16
	 */
	public Precision precision() {
		return this.precision;
	}

	/**
	 * Adds tensors up over all workers, within a program. All workers have to build the
	 * same sums in the same order.
	 * @param builder of the program
	 * @param values of this worker, in the order in which they are computed: some travel
	 * while others are still computed, in {@link #precision()}
	 * @return the sums, the same bits for all workers
	 */
	public List<Operand<TFloat32>> sums(ProgramBuilder builder, List<Operand<TFloat32>> values) {
		return new Reduction(this.server, WorkerServer.scope(builder), builder.device(), this.precision).sums(values);
	}

	/**
	 * Adds few numbers up over all workers, within a program, in fp32.
	 * @param builder of the program
	 * @param numbers of this worker
	 * @return the sums, the same bits for all workers
	 */
	public Operand<TFloat32> sum(ProgramBuilder builder, Operand<TFloat32> numbers) {
		return this.server.sum(WorkerServer.scope(builder), Device.CPU, numbers);
	}

	/**
	 * Builds a program that may have sums over all workers.
	 * @param builder of the program
	 * @return to be closed with {@link #close(Program)}
	 */
	public Program open(ProgramBuilder builder) {
		return this.server.openIsolated(builder);
	}

	/**
	 * Runs what has sums over all workers, when all have called this.
	 * @param program of {@link #open(ProgramBuilder)}
	 * @param call of the program
	 * @return the call
	 * @throws LostWorkerException if a worker has gone
	 */
	public Call run(Program program, Call call) {
		return together(program, call::run);
	}

	/**
	 * Closes a program.
	 * @param program of {@link #open(ProgramBuilder)}
	 */
	public void close(Program program) {
		this.server.close(program);
	}

	/** Does what all workers do together. */
	private <T> T together(Program program, Supplier<T> action) {
		synchronized (this.waiting) {
			LostWorkerException before = this.lost.get();
			if (before != null) {
				throw before;
			}
			this.waiting.add(program);
		}
		try {
			return action.get();
		}
		catch (TensorFlowException ex) {
			Matcher remote = REMOTE.matcher(String.valueOf(ex.getMessage()));
			int worker = remote.find() ? Integer.parseInt(remote.group(1)) : -1;
			LOG.debug("A sum over all workers has failed", ex);
			throw lost((worker >= 0 && worker < this.workers.count() && worker != this.workers.index())
					? name(worker) + " has gone" : "a worker has gone", ex);
		}
		finally {
			synchronized (this.waiting) {
				this.waiting.remove(program);
			}
		}
	}

	/**
	 * Gives numbers of each worker to all, when all have called this.
	 * @param own numbers of this worker, at most 96 and as many as the others have
	 * @return the numbers, by worker
	 * @throws LostWorkerException if a worker has gone
	 */
	public long[][] exchange(long... own) {
		return exchange(null, own);
	}

	private long[][] exchange(@Nullable Duration limit, long... own) {
		int chunks = Long.BYTES / 2;
		float[] values = new float[this.workers.count() * WIDTH * chunks];
		for (int i = 0; i < own.length; i++) {
			for (int chunk = 0; chunk < chunks; chunk++) {
				// exact in fp32
				values[(this.workers.index() * WIDTH + i) * chunks + chunk] = (own[i] >>> (16 * chunk)) & 0xffff;
			}
		}
		long[][] all = new long[this.workers.count()][own.length];
		float[] sums = together(this.exchange.program(), () -> this.exchange.sum(values, limit));
		for (int worker = 0; worker < all.length; worker++) {
			for (int i = 0; i < own.length; i++) {
				for (int chunk = 0; chunk < chunks; chunk++) {
					all[worker][i] |= (long) sums[(worker * WIDTH + i) * chunks + chunk] << (16 * chunk);
				}
			}
		}
		return all;
	}

	/**
	 * Refuses workers that differ, on all of them.
	 * @param facts what else than device and precision has to be the same everywhere, by
	 * name, at most 94
	 * @throws InvalidInputException if a worker differs, with its name and what differs
	 * @throws LostWorkerException if a worker has gone
	 */
	public void agree(Map<String, String> facts) {
		Map<String, String> all = new LinkedHashMap<>(facts);
		all.put("device", this.server.device().toString());
		all.put("reduction precision", this.precision.toString());
		List<String> names = List.copyOf(all.keySet());
		long[] own = names.stream().mapToLong((name) -> digest(name + "=" + all.get(name))).toArray();
		long[][] counts = exchange(names.size());
		long[][] digests = exchange(own);
		for (int worker = 1; worker < digests.length; worker++) {
			for (int i = 0; i < own.length; i++) {
				if (counts[worker][0] != counts[0][0] || digests[worker][i] != digests[0][i]) {
					meetOnceMore();
					throw new InvalidInputException(name(worker),
							"has another " + names.get(i).replace('_', ' ') + " than worker 0 ("
									+ this.workers.addresses().get(0) + ")",
							"start all workers with the same text, options and version");
				}
			}
		}
	}

	private static long digest(String text) {
		try {
			return ByteBuffer.wrap(MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)))
				.getLong();
		}
		catch (NoSuchAlgorithmException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/**
	 * Lets the first worker do something, and then the others.
	 * @param action what all do, such as reading what the first one may have to repair
	 * @param <T> what it makes
	 * @return what this worker's has made
	 * @throws LostWorkerException if a worker has gone
	 */
	public <T> T firstThenOthers(Supplier<T> action) {
		if (this.workers.isFirst()) {
			T made = action.get();
			exchange();
			return made;
		}
		exchange();
		return action.get();
	}

	/**
	 * Waits until all workers are done. After this, none of them misses another that
	 * ends.
	 * @throws LostWorkerException if a worker has gone
	 */
	public void leave() {
		exchange();
		this.closed = true;
		// while all are there: it tells the others
		this.presence.closePeers();
		meetOnceMore();
	}

	/**
	 * So that none ends while another still reads what it has sent. All are done: that
	 * one has ended already is no harm.
	 */
	private void meetOnceMore() {
		try {
			exchange(LAST_MEETING);
		}
		catch (LostWorkerException ex) {
			LOG.debug("A worker has ended before", ex);
		}
	}

	/**
	 * Ends the part of this worker. Others that still count on it end too.
	 */
	@Override
	public void close() {
		this.closed = true;
		this.presence.set(Presence.ENDED);
		// it may be waiting for workers that do not come
		this.server.cancel(this.exchange.program());
		this.server.close(this.exchange.program());
		this.presence.close();
	}

}

package io.calm.cli;

import java.io.BufferedReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.LongFunction;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.cli.serve.ServeApplication;
import io.calm.generation.Chunk;
import io.calm.generation.GenerationEngine;
import io.calm.generation.GenerationStream;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/**
 * Times the service against the engine alone: first the engine, then the service, then
 * the engine again, each with the same clients that want the same texts.
 */
@Command(name = "serve",
		description = "Time texts over HTTP, and the same texts from the engine alone before and after. A quarter of "
				+ "the clients read slowly, and a quarter disconnect before the end.")
final class ServeBenchmark extends Subcommand {

	private static final String LOOPBACK = "127.0.0.1";

	/** What those who leave read before. */
	private static final int FEW_PIECES = 3;

	/** Of those who read slowly, after each piece. */
	private static final int PAUSE_MILLIS = 20;

	@Parameters(paramLabel = "MODEL", description = "The model directory.")
	private Path model = Path.of("model");

	@Option(names = "--clients", defaultValue = "64",
			description = "Number of clients, each of which requests one text after another (default: "
					+ "${DEFAULT-VALUE}).")
	private int clients;

	@Option(names = "--seconds", defaultValue = "120",
			description = "Length of each of the three measurements (default: ${DEFAULT-VALUE}).")
	private int seconds;

	@Option(names = "--warm-up", paramLabel = "SECONDS", defaultValue = "20",
			description = "Time before each of them in which the same is done and not counted: the JVM compiles what is "
					+ "used often (default: ${DEFAULT-VALUE}).")
	private int warmUp;

	@Option(names = "--slots", defaultValue = "4",
			description = "Number of texts to generate at the same time (default: ${DEFAULT-VALUE}).")
	private int slots;

	@Option(names = "--prompt", defaultValue = "Once upon a time",
			description = "Beginning of all texts (default: ${DEFAULT-VALUE}).")
	private String prompt = "";

	@Option(names = "--new-tokens", defaultValue = "64",
			description = "Tokens to generate, unless a text ends before (default: ${DEFAULT-VALUE}).")
	private int newTokens;

	@Option(names = "--context", defaultValue = "512",
			description = "Maximum length of prompt and text together, in patches, or in tokens for a baseline "
					+ "(default: ${DEFAULT-VALUE}).")
	private int context;

	@Mixin
	private ComputeOptions compute = new ComputeOptions();

	/** A text as its reader sees it. */
	private interface Text extends AutoCloseable {

		/**
		 * Waits until there is more to read.
		 * @return whether there is, or the text has ended
		 */
		boolean next();

		/** Of a text that has ended. */
		long tokens();

		@Override
		void close();

	}

	@Override
	Report run() {
		atLeastOne("--clients", this.clients);
		atLeastOne("--seconds", this.seconds);
		if (this.warmUp < 0) {
			throw new InvalidInputException("--warm-up", "is " + this.warmUp, "choose at least 0");
		}
		Measurement before = engine();
		Measurement service = service();
		Measurement after = engine();
		return new Report().put("clients", this.clients)
			.put("slots", this.slots)
			.put("seconds", this.seconds)
			.put("warm_up_seconds", this.warmUp)
			.put("engine", before.report())
			.put("service", service.report())
			.put("engine_again", after.report())
			.put("speed_of_engine",
					2 * service.tokensPerSecond() / (before.tokensPerSecond() + after.tokensPerSecond()));
	}

	private static void atLeastOne(String option, int value) {
		if (value < 1) {
			throw new InvalidInputException(option, "is " + value, "choose at least 1");
		}
	}

	private Measurement engine() {
		try (GenerationEngine engine = GenerationEngine.open(this.model,
				(options) -> options.slots(this.slots)
					.queue(this.clients)
					.context(this.context)
					.program(this.compute.generation()))) {
			return measure((seed) -> new EngineText(
					engine.generate(this.prompt, (request) -> request.maxNewTokens(this.newTokens).seed(seed))));
		}
	}

	/** As {@code calm serve} starts it. */
	private Measurement service() {
		ServeCommand serve = new ServeCommand();
		ProgramOptions program = this.compute.generation();
		new CommandLine(serve).setExpandAtFiles(false)
			.parseArgs(this.model.toString(), "--host", LOOPBACK, "--port", "0", "--slots", "" + this.slots, "--queue",
					"" + this.clients, "--context", "" + this.context, "--device", program.device().name(),
					"--precision", program.precision().name());
		List<String> properties = serve.properties(null);
		CompletableFuture<Integer> port = new CompletableFuture<>();
		Thread server = new Thread(() -> {
			try {
				ServeApplication.run(properties, (found, name) -> port.complete(found));
			}
			catch (RuntimeException ex) {
				port.completeExceptionally(ex);
			}
		}, "serve");
		server.start();
		try {
			int found = port.get();
			return measure((seed) -> new HttpText(found, order(seed)));
		}
		catch (ExecutionException ex) {
			throw unwrapped(ex);
		}
		catch (InterruptedException ex) {
			throw interrupted(ex);
		}
		finally {
			server.interrupt();
			join(server);
		}
	}

	private String order(long seed) {
		JsonObject order = new JsonObject();
		order.addProperty("prompt", this.prompt);
		order.addProperty("max_tokens", this.newTokens);
		order.addProperty("seed", seed);
		order.addProperty("stream", true);
		JsonObject options = new JsonObject();
		options.addProperty("include_usage", true);
		order.add("stream_options", options);
		return order.toString();
	}

	private Measurement measure(LongFunction<Text> texts) {
		AtomicLong seeds = new AtomicLong();
		ExecutorService threads = Executors.newFixedThreadPool(this.clients);
		try {
			readAll(threads, texts, seeds, this.warmUp);
			return readAll(threads, texts, seeds, this.seconds);
		}
		catch (ExecutionException ex) {
			throw unwrapped(ex);
		}
		catch (InterruptedException ex) {
			throw interrupted(ex);
		}
		finally {
			threads.shutdownNow();
		}
	}

	/** Each client reads one text after the other, and at least one. */
	private Measurement readAll(ExecutorService threads, LongFunction<Text> texts, AtomicLong seeds, int seconds)
			throws ExecutionException, InterruptedException {
		long start = System.nanoTime();
		List<Future<List<Reading>>> running = new ArrayList<>();
		for (int i = 0; i < this.clients; i++) {
			int kind = i % 4;
			running.add(threads.submit(() -> {
				List<Reading> readings = new ArrayList<>();
				do {
					readings.add(read(texts, seeds.getAndIncrement(), kind));
				}
				while (System.nanoTime() - start < seconds * 1_000_000_000L);
				return readings;
			}));
		}
		List<Reading> all = new ArrayList<>();
		for (Future<List<Reading>> each : running) {
			all.addAll(each.get());
		}
		return new Measurement(all, (System.nanoTime() - start) / 1e9);
	}

	private static Reading read(LongFunction<Text> texts, long seed, int kind) throws InterruptedException {
		long begin = System.nanoTime();
		try (Text text = texts.apply(seed)) {
			boolean more = text.next();
			double waited = (System.nanoTime() - begin) / 1e6;
			for (int pieces = 1; more; pieces++) {
				if (kind == 2) {
					Thread.sleep(PAUSE_MILLIS);
				}
				else if (kind == 3 && pieces == FEW_PIECES) {
					return new Reading(waited, 0);
				}
				more = text.next();
			}
			return new Reading(waited, text.tokens());
		}
	}

	private static RuntimeException unwrapped(ExecutionException failure) {
		return (failure.getCause() instanceof RuntimeException cause) ? cause
				: new IllegalStateException(failure.getCause());
	}

	private static RuntimeException interrupted(InterruptedException failure) {
		Thread.currentThread().interrupt();
		return new IllegalStateException("interrupted", failure);
	}

	private static void join(Thread thread) {
		try {
			thread.join();
		}
		catch (InterruptedException ex) {
			throw interrupted(ex);
		}
	}

	/**
	 * What a client has seen of a text.
	 *
	 * @param waited for its first piece, in milliseconds
	 * @param tokens of it, or 0 if the client has left
	 */
	private record Reading(double waited, long tokens) {
	}

	/**
	 * What all clients have seen.
	 *
	 * @param readings of texts
	 * @param seconds until the last of them
	 */
	private record Measurement(List<Reading> readings, double seconds) {

		double tokensPerSecond() {
			return this.readings.stream().mapToLong(Reading::tokens).sum() / this.seconds;
		}

		Report report() {
			double[] waits = this.readings.stream().mapToDouble(Reading::waited).sorted().toArray();
			return new Report().put("texts", waits.length)
				.put("first_piece_p50_ms", waits[waits.length / 2])
				.put("first_piece_p95_ms", waits[waits.length * 95 / 100])
				.put("tokens_per_s", tokensPerSecond());
		}

	}

	/** A text straight from the engine. What is not readable yet is no piece. */
	private static final class EngineText implements Text {

		private final GenerationStream stream;

		private final Iterator<Chunk> chunks;

		private long tokens;

		EngineText(GenerationStream stream) {
			this.stream = stream;
			this.chunks = stream.iterator();
		}

		@Override
		public boolean next() {
			while (this.chunks.hasNext()) {
				Chunk chunk = this.chunks.next();
				this.tokens += chunk.tokens().length;
				if (!chunk.text().isEmpty()) {
					return true;
				}
			}
			return false;
		}

		@Override
		public long tokens() {
			return this.tokens;
		}

		@Override
		public void close() {
			this.stream.close();
		}

	}

	/**
	 * A text over HTTP, of the service's events. By a plain socket, since client and
	 * service share the machine: what a client needs of it, the service has not.
	 */
	private static final class HttpText implements Text {

		private static final String DATA = "data: ";

		private final Socket socket;

		private final BufferedReader lines;

		private long tokens;

		HttpText(int port, String order) {
			try {
				this.socket = new Socket(LOOPBACK, port);
				this.lines = new BufferedReader(
						new InputStreamReader(this.socket.getInputStream(), StandardCharsets.UTF_8));
				byte[] body = order.getBytes(StandardCharsets.UTF_8);
				ByteArrayOutputStream request = new ByteArrayOutputStream();
				request.writeBytes(("POST /v1/completions HTTP/1.1\r\nHost: " + LOOPBACK + "\r\nConnection: close\r\n"
						+ "Content-Type: application/json\r\nContent-Length: " + body.length + "\r\n\r\n")
					.getBytes(StandardCharsets.US_ASCII));
				request.writeBytes(body);
				this.socket.getOutputStream().write(request.toByteArray());
				String status = this.lines.readLine();
				if (status == null || !status.startsWith("HTTP/1.1 200")) {
					throw new IllegalStateException("the service says " + status);
				}
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
		}

		/** Passes over headers and the lengths of chunks. */
		@Override
		public boolean next() {
			try {
				for (String line = this.lines.readLine(); !(DATA + "[DONE]").equals(line); line = this.lines
					.readLine()) {
					if (line == null) {
						throw new IllegalStateException("the service broke off a text");
					}
					if (line.startsWith(DATA) && isReadable(line)) {
						return true;
					}
				}
				return false;
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
		}

		private boolean isReadable(String line) {
			if (line.startsWith(DATA + "{\"error\"")) {
				throw new IllegalStateException("the service says " + line);
			}
			if (line.contains("\"usage\":{")) {
				this.tokens = JsonParser.parseString(line.substring(DATA.length()))
					.getAsJsonObject()
					.getAsJsonObject("usage")
					.get("completion_tokens")
					.getAsLong();
				return false;
			}
			return !line.contains("\"text\":\"\"");
		}

		@Override
		public long tokens() {
			return this.tokens;
		}

		@Override
		public void close() {
			try {
				this.socket.close();
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
		}

	}

}

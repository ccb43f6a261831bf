package io.calm.cli;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIf;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * {@code calm serve} under more load than it can take: a quarter of the clients wants
 * whole answers, a quarter streams, a quarter reads slowly, and a quarter leaves early.
 * There are 64 of them for two minutes. How long they wait is for
 * {@code calm benchmark serve} to say.
 */
@EnabledIfSystemProperty(named = "calm.long", matches = "true", disabledReason = "takes minutes")
@EnabledIf("canMeasure")
class ServeLoadTest {

	private static final Logger LOG = LoggerFactory.getLogger(ServeLoadTest.class);

	private static final int CLIENTS = 64;

	private static final Duration LOAD = Duration.ofMinutes(2);

	/** Of each client that are served, however long that takes. */
	private static final int REQUESTS = 5;

	private static final int SLOTS = 4;

	/** Fewer than all clients together need. */
	private static final int QUEUE = CLIENTS / 4;

	/** Texts that are compared with what was written without any load. */
	private static final int SEEDS = 8;

	private static final int TOKENS = 64;

	/** Of those who read slowly or leave. */
	private static final int MANY_TOKENS = 400;

	private static final Duration PATIENCE = Duration.ofMinutes(2);

	/** It makes events large, so that one who does not read them stops the text. */
	private static final String NAME = "a".repeat(2000);

	private static final long MEBIBYTE = 1 << 20;

	private static final HttpClient HTTP = HttpClient.newHttpClient();

	private static RunningServe serve;

	private static Path log = Path.of("");

	private final Map<Integer, String> texts = new ConcurrentHashMap<>();

	private final AtomicInteger whole = new AtomicInteger();

	private final AtomicInteger rounded = new AtomicInteger();

	private final AtomicInteger slow = new AtomicInteger();

	private final AtomicInteger left = new AtomicInteger();

	private final AtomicInteger refused = new AtomicInteger();

	static boolean canMeasure() {
		return Files.isReadable(Path.of("/proc/self/status"));
	}

	/** The Java heap is resident from the beginning: it cannot be taken for a leak. */
	@BeforeAll
	static void start(@TempDir Path directory) throws IOException {
		log = directory.resolve("serve.log");
		serve = RunningServe.start(
				List.of("-Xms160m", "-Xmx160m", "-XX:+AlwaysPreTouch", "-XX:+UseSerialGC",
						"-XX:-UseDynamicNumberOfCompilerThreads"),
				RunningServe.tinyModel(directory), directory, false, "--slots", "" + SLOTS, "--queue", "" + QUEUE,
				"--name", NAME);
	}

	@AfterAll
	static void stop() {
		if (serve != null) {
			serve.close();
		}
	}

	@Test
	@Timeout(600)
	void nothingIsLostAndNothingIsLeft() throws Exception {
		for (int seed = 0; seed < SEEDS; seed++) {
			this.texts.put(seed, text(answer(order(TOKENS, seed)).body()));
		}
		assertThat(this.texts.values()).doesNotHaveDuplicates();
		List<String> threads = busyThreads();

		List<Long> resident = underLoad();

		LOG.info("{} whole answers, {} of them rounded, {} slow readers, {} left, {} refused", this.whole, this.rounded,
				this.slow, this.left, this.refused);
		// with more rows a product rounds differently, which decides a tie
		assertThat(this.rounded.get()).as("texts that are others than without load")
			.isLessThanOrEqualTo(this.whole.get() / 50);
		assertThatAllPlacesAreFree();
		assertThat(median(resident.subList(resident.size() * 3 / 4, resident.size()))
				- median(resident.subList(resident.size() / 2, resident.size() * 3 / 4)))
			.as("growth of the resident memory in the second half")
			.isLessThan(4 * MEBIBYTE);
		assertThat(awaitBusyThreads(threads)).as("threads that are not waiting for work").isEqualTo(threads);
		assertThat(Files.readAllLines(log)).as("what went wrong, according to the service").isEmpty();
	}

	/** The resident memory of the service, at equal distances of time. */
	private List<Long> underLoad() throws Exception {
		List<Long> resident = new ArrayList<>();
		ExecutorService clients = Executors.newFixedThreadPool(CLIENTS);
		try {
			long end = System.nanoTime() + LOAD.toNanos();
			List<Future<?>> all = new ArrayList<>();
			for (int client = 0; client < CLIENTS; client++) {
				int kind = client % 4;
				Random random = new Random(client);
				all.add(clients.submit(() -> {
					for (int served = 0; served < REQUESTS || System.nanoTime() < end;) {
						served += isServed(kind, random) ? 1 : 0;
					}
					return null;
				}));
			}
			while (System.nanoTime() < end || !all.stream().allMatch(Future::isDone)) {
				Thread.sleep(LOAD.toMillis() / 100);
				resident.add(residentBytes());
			}
			for (Future<?> each : all) {
				each.get();
			}
		}
		finally {
			clients.shutdownNow();
		}
		return resident;
	}

	/** False if it is refused, as long as it has been told to wait. */
	private boolean isServed(int kind, Random random) throws Exception {
		int seed = random.nextInt(SEEDS);
		return switch (kind) {
			case 0 -> {
				HttpResponse<String> response = answer(order(TOKENS, seed));
				if (isRefused(response)) {
					yield false;
				}
				assertWhole(seed, text(response.body()), JsonParser.parseString(response.body()).getAsJsonObject());
				yield true;
			}
			case 1 -> {
				HttpResponse<String> response = answer(streamed(order(TOKENS, seed)));
				if (isRefused(response)) {
					yield false;
				}
				assertWholeStream(seed, response.body());
				yield true;
			}
			case 2 -> isReadSlowly(seed, random);
			default -> {
				leave(seed, random);
				yield true;
			}
		};
	}

	private boolean isRefused(HttpResponse<String> response) throws InterruptedException {
		if (response.statusCode() == 200) {
			return false;
		}
		assertThat(response.statusCode()).as(response.body()).isEqualTo(429);
		waitAsTold(response.headers().firstValue("Retry-After").orElse("missing"));
		return true;
	}

	private void waitAsTold(String retryAfter) throws InterruptedException {
		assertThat(retryAfter).as("Retry-After").isEqualTo("1");
		this.refused.incrementAndGet();
		Thread.sleep(1000);
	}

	private void assertWhole(int seed, String text, JsonObject last) {
		assertThat(last.getAsJsonObject("usage").get("completion_tokens").getAsInt()).isEqualTo(TOKENS);
		this.whole.incrementAndGet();
		if (!text.equals(this.texts.get(seed))) {
			this.rounded.incrementAndGet();
		}
	}

	private void assertWholeStream(int seed, String body) {
		List<String> events = body.lines().filter((line) -> !line.isEmpty()).toList();
		assertThat(events).last().isEqualTo("data: [DONE]");
		List<JsonObject> pieces = events.subList(0, events.size() - 1)
			.stream()
			.map((event) -> JsonParser.parseString(event.substring("data: ".length())).getAsJsonObject())
			.toList();
		StringBuilder text = new StringBuilder();
		for (JsonObject piece : pieces) {
			JsonArray choices = piece.getAsJsonArray("choices");
			if (!choices.isEmpty()) {
				text.append(choices.get(0).getAsJsonObject().get("text").getAsString());
			}
		}
		assertWhole(seed, text.toString(), pieces.get(pieces.size() - 1));
	}

	/** To the end, but slower than the text is written. */
	private boolean isReadSlowly(int seed, Random random) throws Exception {
		ByteArrayOutputStream read = new ByteArrayOutputStream();
		try (Socket socket = connect(streamed(order(MANY_TOKENS, seed)))) {
			InputStream input = socket.getInputStream();
			byte[] buffer = new byte[4096];
			for (int count = input.read(buffer); count >= 0; count = input.read(buffer)) {
				read.write(buffer, 0, count);
				Thread.sleep(random.nextInt(50));
			}
		}
		String answer = read.toString(StandardCharsets.UTF_8);
		if (answer.startsWith("HTTP/1.1 429 ")) {
			waitAsTold(answer.replaceFirst("(?s).*\r\nRetry-After: (.*?)\r\n.*", "$1"));
			return false;
		}
		assertThat(answer).startsWith("HTTP/1.1 200 ").contains("data: [DONE]");
		assertThat(answer).contains("\"completion_tokens\":" + MANY_TOKENS);
		this.slow.incrementAndGet();
		return true;
	}

	/** Before the first byte, or anywhere in the text. */
	private void leave(int seed, Random random) throws Exception {
		try (Socket socket = connect(streamed(order(MANY_TOKENS, seed)))) {
			if (random.nextBoolean()) {
				// as if the client's machine had failed, instead of saying good-bye
				socket.setSoLinger(true, 0);
			}
			Thread.sleep(random.nextInt(100));
			InputStream input = socket.getInputStream();
			input.readNBytes(random.nextBoolean() ? 0 : random.nextInt(60_000));
		}
		this.left.incrementAndGet();
	}

	/**
	 * As many texts as there are slots begin, as many requests as there are places wait,
	 * and one more is refused.
	 */
	private static void assertThatAllPlacesAreFree() throws Exception {
		JsonObject endless = streamed(order(2000, 1));
		endless.addProperty("temperature", 0.5);
		endless.addProperty("candidates", 1000);
		List<InputStream> streams = new ArrayList<>();
		for (int i = 0; i < SLOTS; i++) {
			// its status comes with the first piece of text
			HttpResponse<InputStream> response = HTTP.send(request(endless), HttpResponse.BodyHandlers.ofInputStream());
			assertThat(response.statusCode()).isEqualTo(200);
			streams.add(response.body());
		}
		List<CompletableFuture<HttpResponse<String>>> waiting = IntStream.rangeClosed(0, QUEUE)
			.mapToObj((i) -> HTTP.sendAsync(request(order(4, i)), HttpResponse.BodyHandlers.ofString()))
			.toList();
		CompletableFuture.anyOf(waiting.toArray(CompletableFuture[]::new)).join();
		for (InputStream each : streams) {
			each.close();
		}
		List<Integer> expected = new ArrayList<>(Collections.nCopies(QUEUE, 200));
		expected.add(429);
		assertThat(waiting.stream().map((each) -> each.join().statusCode())).as("%s places in the queue", QUEUE)
			.containsExactlyInAnyOrderElementsOf(expected);
	}

	private static JsonObject order(int tokens, int seed) {
		JsonObject order = new JsonObject();
		order.addProperty("prompt", "One fish.");
		order.addProperty("max_tokens", tokens);
		order.addProperty("seed", seed);
		return order;
	}

	private static JsonObject streamed(JsonObject order) {
		order.addProperty("stream", true);
		JsonObject options = new JsonObject();
		options.addProperty("include_usage", true);
		order.add("stream_options", options);
		return order;
	}

	private static HttpRequest request(JsonObject order) {
		return HttpRequest.newBuilder(URI.create(serve.api() + "/completions"))
			.version(HttpClient.Version.HTTP_1_1)
			.timeout(PATIENCE)
			.header("Content-Type", "application/json")
			.POST(HttpRequest.BodyPublishers.ofString(order.toString()))
			.build();
	}

	private static HttpResponse<String> answer(JsonObject order) throws IOException, InterruptedException {
		return HTTP.send(request(order), HttpResponse.BodyHandlers.ofString());
	}

	private static String text(String answer) {
		return JsonParser.parseString(answer)
			.getAsJsonObject()
			.getAsJsonArray("choices")
			.get(0)
			.getAsJsonObject()
			.get("text")
			.getAsString();
	}

	/** With hardly any room for what is not read yet, unlike clients of a library. */
	private static Socket connect(JsonObject order) throws IOException {
		Socket socket = new Socket();
		socket.setReceiveBufferSize(4096);
		socket.setSoTimeout((int) PATIENCE.toMillis());
		socket.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), URI.create(serve.api()).getPort()));
		byte[] body = order.toString().getBytes(StandardCharsets.UTF_8);
		String head = "POST /v1/completions HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
				+ "Content-Type: application/json\r\nContent-Length: " + body.length + "\r\n\r\n";
		socket.getOutputStream().write(head.getBytes(StandardCharsets.US_ASCII));
		socket.getOutputStream().write(body);
		return socket;
	}

	private static long residentBytes() throws IOException {
		try (Stream<String> lines = Files.lines(Path.of("/proc/" + serve.pid() + "/status"))) {
			return lines.filter((line) -> line.startsWith("VmRSS:"))
				.mapToLong((line) -> Long.parseLong(line.replaceAll("\\D", "")) * 1024)
				.findFirst()
				.orElseThrow();
		}
	}

	private static long median(List<Long> values) {
		return values.stream().sorted().toList().get(values.size() / 2);
	}

	private static List<String> awaitBusyThreads(List<String> expected) throws Exception {
		long end = System.nanoTime() + PATIENCE.toNanos();
		List<String> busy = busyThreads();
		while (!busy.equals(expected) && System.nanoTime() < end) {
			Thread.sleep(100);
			busy = busyThreads();
		}
		return busy;
	}

	/**
	 * All but those of pools that have nothing to do and those that wait for the network,
	 * without their numbers.
	 */
	private static List<String> busyThreads() throws Exception {
		Process jcmd = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "jcmd").toString(),
				"" + serve.pid(), "Thread.print")
			.redirectErrorStream(true)
			.start();
		String dump = new String(jcmd.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
		assertThat(jcmd.waitFor()).as(dump).isZero();
		return Arrays.stream(dump.split("\n\n"))
			.map(String::strip)
			.filter((thread) -> thread.startsWith("\"") && !thread.contains(".getTask(")
					&& !thread.contains("ForkJoinPool.awaitWork(") && !thread.contains("EPoll.wait("))
			.flatMap(String::lines)
			.filter((line) -> line.startsWith("\""))
			.map((line) -> line.replaceFirst("^\"(.*?)\".*", "$1").replaceAll("\\d+", "N"))
			.sorted()
			.collect(Collectors.toList());
	}

}

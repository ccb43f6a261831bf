package io.calm.mlflow;

import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;

/** Stands before a server and lets its calls through, or treats them badly. */
final class Gate implements AutoCloseable {

	/** What becomes of a call. */
	enum Mode {

		/** The server answers. */
		OPEN,
		/** Nobody ever answers. */
		SILENT,
		/** Answers with {@link #status}. */
		REFUSING,
		/** The server does what it is told, but every fourth answer or so is lost. */
		LOSING_ANSWERS

	}

	private final URI server;

	private final HttpServer gate;

	private final ExecutorService threads = Executors.newCachedThreadPool();

	private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

	private final CountDownLatch closed = new CountDownLatch(1);

	private final Random random = new Random(1);

	private final List<String> paths = new CopyOnWriteArrayList<>();

	volatile Mode mode = Mode.OPEN;

	volatile int status = 500;

	Gate(URI server) throws IOException {
		this.server = server;
		this.gate = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
		this.gate.setExecutor(this.threads);
		this.gate.createContext("/", this::handle);
		this.gate.start();
	}

	String uri() {
		return "http://127.0.0.1:" + this.gate.getAddress().getPort();
	}

	/** Of all calls so far. */
	List<String> paths() {
		return this.paths;
	}

	private void handle(HttpExchange exchange) throws IOException {
		this.paths.add(exchange.getRequestURI().getPath());
		try (exchange) {
			byte[] body = exchange.getRequestBody().readAllBytes();
			switch (this.mode) {
				case OPEN -> answer(exchange, forward(exchange, body));
				case SILENT -> this.closed.await();
				case REFUSING -> {
					exchange.getResponseHeaders().set("Retry-After", "1");
					exchange.sendResponseHeaders(this.status, -1);
				}
				case LOSING_ANSWERS -> {
					HttpResponse<byte[]> answer = forward(exchange, body);
					if (!lost()) {
						answer(exchange, answer);
					}
					else {
						exchange.sendResponseHeaders(500, -1);
					}
				}
			}
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
	}

	/**
	 * Not every n-th: a number of calls that depend on each other would then never
	 * succeed.
	 */
	private boolean lost() {
		return this.random.nextInt(4) == 0;
	}

	private HttpResponse<byte[]> forward(HttpExchange exchange, byte[] body) throws IOException, InterruptedException {
		HttpRequest.Builder request = HttpRequest.newBuilder(this.server.resolve(exchange.getRequestURI()))
			.method(exchange.getRequestMethod(), BodyPublishers.ofByteArray(body));
		String type = exchange.getRequestHeaders().getFirst("Content-Type");
		if (type != null) {
			request.header("Content-Type", type);
		}
		return this.client.send(request.build(), BodyHandlers.ofByteArray());
	}

	private static void answer(HttpExchange exchange, HttpResponse<byte[]> answer) throws IOException {
		exchange.sendResponseHeaders(answer.statusCode(), (answer.body().length > 0) ? answer.body().length : -1);
		try (OutputStream out = exchange.getResponseBody()) {
			out.write(answer.body());
		}
	}

	@Override
	public void close() {
		this.closed.countDown();
		this.gate.stop(0);
		this.threads.shutdownNow();
	}

}

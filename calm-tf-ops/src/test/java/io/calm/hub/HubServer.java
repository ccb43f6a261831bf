package io.calm.hub;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import org.jspecify.annotations.Nullable;

/**
 * A server that behaves like the hub, and one that keeps its large files.
 */
public final class HubServer implements AutoCloseable {

	static final String TOKEN = "hf_secret";

	private static final Pattern REQUEST = Pattern
		.compile("/(?:api/models/(?<listed>[^/]+/[^/]+)/revision/(?<revision>[^/]+)"
				+ "|(?<model>[^/]+/[^/]+)/resolve/(?<commit>[^/]+)/(?<file>.+))");

	/** What a request was, and whether it had the token. */
	record Seen(String path, @Nullable String range, @Nullable String authorization) {
	}

	final List<Seen> hubSaw = new CopyOnWriteArrayList<>();

	final List<Seen> storeSaw = new CopyOnWriteArrayList<>();

	/** Answers that come before the real ones. */
	final List<Integer> troubles = new CopyOnWriteArrayList<>();

	private final Set<String> gated = ConcurrentHashMap.newKeySet();

	/** Connections to the store that are cut in the middle. */
	int cuts;

	boolean ranges = true;

	/** The listing has other digests than the files. */
	boolean lies;

	private final Map<String, Map<String, byte[]>> models = new ConcurrentHashMap<>();

	private final HttpServer hub;

	private final HttpServer store;

	/**
	 * Starts both, with nothing in them.
	 * @throws IOException if there is no port
	 */
	public HubServer() throws IOException {
		this.hub = HttpServer.create(new InetSocketAddress(InetAddress.getByName("localhost"), 0), 0);
		this.store = HttpServer.create(new InetSocketAddress(InetAddress.getByName("127.0.0.1"), 0), 0);
		this.hub.createContext("/", this::hub);
		this.store.createContext("/", this::store);
		for (HttpServer server : List.of(this.hub, this.store)) {
			server.setExecutor(Executors.newCachedThreadPool((task) -> {
				Thread thread = new Thread(task, "hub");
				thread.setDaemon(true);
				return thread;
			}));
			server.start();
		}
	}

	/**
	 * Its address.
	 * @return for {@code HF_ENDPOINT}
	 */
	public String endpoint() {
		return "http://localhost:" + this.hub.getAddress().getPort();
	}

	/**
	 * Publishes the files of a directory, but not of those in it.
	 * @param model {@code OWNER/NAME}
	 * @param directory of the files
	 * @param names which of them; none for all
	 * @return all files of the model, to be changed
	 */
	public Map<String, byte[]> publish(String model, Path directory, String... names) {
		Map<String, byte[]> files = this.models.computeIfAbsent(model, (name) -> new LinkedHashMap<>());
		try (Stream<Path> paths = Files.list(directory)) {
			for (Path path : paths.filter(Files::isRegularFile).sorted().toList()) {
				String name = path.getFileName().toString();
				if (names.length == 0 || List.of(names).contains(name)) {
					files.put(name, Files.readAllBytes(path));
				}
			}
			return files;
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	/**
	 * Lets everybody see what a model holds, and nobody have it.
	 * @param model {@code OWNER/NAME}
	 */
	public void gate(String model) {
		this.gated.add(model);
	}

	/**
	 * What was asked for since the last call.
	 * @return the paths, of both servers
	 */
	public List<String> requests() {
		List<String> paths = Stream.concat(this.hubSaw.stream(), this.storeSaw.stream()).map(Seen::path).toList();
		this.hubSaw.clear();
		this.storeSaw.clear();
		return paths;
	}

	/** Changes with each file. */
	String commit(String model) {
		StringBuilder content = new StringBuilder();
		files(model).forEach((name, bytes) -> content.append(name).append(Arrays.hashCode(bytes)));
		return digest("SHA-1", content.toString().getBytes(StandardCharsets.UTF_8));
	}

	private Map<String, byte[]> files(String model) {
		return this.models.getOrDefault(model, Map.of());
	}

	private void hub(HttpExchange exchange) throws IOException {
		this.hubSaw.add(seen(exchange));
		Matcher request = REQUEST.matcher(exchange.getRequestURI().getPath());
		if (!this.troubles.isEmpty()) {
			int status = this.troubles.remove(0);
			exchange.getResponseHeaders().add("Retry-After", "0");
			answer(exchange, status, new byte[0]);
		}
		else if (!request.matches()) {
			answer(exchange, 404, new byte[0]);
		}
		else if (request.group("listed") != null) {
			String model = request.group("listed");
			boolean there = this.models.containsKey(model)
					&& List.of("main", commit(model)).contains(request.group("revision"));
			answer(exchange, there ? 200 : 404, listing(model).getBytes(StandardCharsets.UTF_8));
		}
		else {
			file(exchange, request.group("model"), request.group("commit"), request.group("file"));
		}
	}

	private void file(HttpExchange exchange, String model, String commit, String name) throws IOException {
		if (!files(model).containsKey(name) || !commit.equals(commit(model))) {
			answer(exchange, 404, new byte[0]);
		}
		else if (this.gated.contains(model)) {
			answer(exchange, exchange.getRequestHeaders().containsKey("Authorization") ? 403 : 401, new byte[0]);
		}
		else if (name.endsWith(".safetensors")) {
			exchange.getResponseHeaders()
				.add("Location", "http://127.0.0.1:" + this.store.getAddress().getPort() + "/" + model + "/" + name
						+ "?signed=1");
			answer(exchange, 302, new byte[0]);
		}
		else {
			content(exchange, files(model).getOrDefault(name, new byte[0]), false);
		}
	}

	private void store(HttpExchange exchange) throws IOException {
		this.storeSaw.add(seen(exchange));
		boolean cut = this.cuts > 0;
		this.cuts -= cut ? 1 : 0;
		String[] path = exchange.getRequestURI().getPath().substring(1).split("/", 3);
		content(exchange, files(path[0] + "/" + path[1]).getOrDefault(path[2], new byte[0]), cut);
	}

	private static Seen seen(HttpExchange exchange) {
		return new Seen(exchange.getRequestURI().getPath(), exchange.getRequestHeaders().getFirst("Range"),
				exchange.getRequestHeaders().getFirst("Authorization"));
	}

	private void content(HttpExchange exchange, byte[] content, boolean cut) throws IOException {
		String range = exchange.getRequestHeaders().getFirst("Range");
		int from = (range != null && this.ranges) ? Integer.parseInt(range.replaceAll("\\D", "")) : 0;
		if (from > 0) {
			exchange.getResponseHeaders()
				.add("Content-Range", "bytes %d-%d/%d".formatted(from, content.length - 1, content.length));
		}
		exchange.sendResponseHeaders((from > 0) ? 206 : 200, content.length - from);
		try (OutputStream body = exchange.getResponseBody()) {
			int length = content.length - from;
			body.write(content, from, cut ? length / 2 : length);
			body.flush();
			if (cut) {
				throw new IOException("cut");
			}
		}
	}

	private static void answer(HttpExchange exchange, int status, byte[] body) throws IOException {
		boolean empty = body.length == 0 || status != 200;
		exchange.sendResponseHeaders(status, empty ? -1 : body.length);
		if (!empty) {
			exchange.getResponseBody().write(body);
		}
		exchange.close();
	}

	private String listing(String model) {
		List<String> siblings = new ArrayList<>();
		files(model).forEach((name, content) -> {
			String size = "\"size\": " + content.length;
			String lfs = name.endsWith(".safetensors") ? ", \"lfs\": {\"sha256\": \"" + listed("SHA-256", content)
					+ "\", " + size + ", \"pointerSize\": 134}" : "";
			siblings.add("{\"rfilename\": \"" + name + "\", \"blobId\": \"" + gitDigest(content) + "\", " + size + lfs
					+ "}");
		});
		return "{\"id\": \"" + model + "\", \"sha\": \"" + commit(model) + "\", \"siblings\": ["
				+ String.join(", ", siblings) + "]}";
	}

	private String gitDigest(byte[] content) {
		byte[] header = ("blob " + content.length + "\0").getBytes(StandardCharsets.US_ASCII);
		byte[] whole = Arrays.copyOf(header, header.length + content.length);
		System.arraycopy(content, 0, whole, header.length, content.length);
		return listed("SHA-1", whole);
	}

	private String listed(String algorithm, byte[] content) {
		return digest(algorithm, this.lies ? new byte[] { 7 } : content);
	}

	static String digest(String algorithm, byte[] content) {
		try {
			return HexFormat.of().formatHex(MessageDigest.getInstance(algorithm).digest(content));
		}
		catch (NoSuchAlgorithmException ex) {
			throw new IllegalStateException(ex);
		}
	}

	@Override
	public void close() {
		this.hub.stop(0);
		this.store.stop(0);
	}

}

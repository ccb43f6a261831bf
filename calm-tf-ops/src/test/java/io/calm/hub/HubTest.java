package io.calm.hub;

import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.calm.generation.GenerationEngine;
import io.calm.input.InvalidInputException;
import io.calm.model.TinyModel;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/** Against a server that behaves like the hub, and one that keeps its large files. */
class HubTest {

	private static final String COMMIT = "0123456789abcdef0123456789abcdef01234567";

	private static final String TOKEN = "hf_secret";

	/** What a request was, and whether it had the token. */
	private record Seen(String path, @Nullable String range, @Nullable String authorization) {
	}

	private final Path directory;

	private final List<Seen> hubSaw = new CopyOnWriteArrayList<>();

	private final List<Seen> storeSaw = new CopyOnWriteArrayList<>();

	private final Map<String, byte[]> files = new LinkedHashMap<>();

	/** Answers that come before the real ones. */
	private final List<Integer> troubles = new CopyOnWriteArrayList<>();

	/** Connections to the store that are cut in the middle. */
	private int cuts;

	private boolean ranges = true;

	/** The listing has other digests than the files. */
	private boolean lies;

	private HttpServer hub;

	private HttpServer store;

	HubTest(@TempDir Path directory) throws IOException {
		this.directory = directory;
		this.hub = server("localhost");
		this.store = server("127.0.0.1");
	}

	private static HttpServer server(String host) throws IOException {
		HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getByName(host), 0), 0);
		server.setExecutor(Executors.newCachedThreadPool());
		return server;
	}

	@BeforeEach
	void start() throws IOException {
		Path model = this.directory.resolve("model");
		TinyModel.write(model, TinyModel.autoencoder().build(), 0.25f, 1);
		for (String name : new String[] { "config.json", "model.safetensors", "tokenizer.json",
				"tokenizer_config.json" }) {
			this.files.put(name, Files.readAllBytes(model.resolve(name)));
		}
		this.files.put("README.md", new byte[] { 1 });
		this.files.put("pytorch_model.bin", new byte[100]);
		this.files.put("../../evil.json", new byte[] { 2 });
		this.files.put("original/config.json", new byte[] { 3 });
		this.hub.createContext("/", this::hub);
		this.store.createContext("/", this::store);
		this.hub.start();
		this.store.start();
	}

	@AfterEach
	void stop() {
		this.hub.stop(0);
		this.store.stop(0);
	}

	private void hub(HttpExchange exchange) throws IOException {
		String path = exchange.getRequestURI().getPath();
		this.hubSaw.add(seen(exchange));
		if (!this.troubles.isEmpty()) {
			int status = this.troubles.remove(0);
			exchange.getResponseHeaders().add("Retry-After", "0");
			answer(exchange, status, new byte[0]);
		}
		else if (path.equals("/api/models/me/tiny/revision/main")
				|| path.equals("/api/models/me/tiny/revision/" + COMMIT)) {
			answer(exchange, 200, listing().getBytes(StandardCharsets.UTF_8));
		}
		else if (path.startsWith("/me/tiny/resolve/" + COMMIT + "/")) {
			String name = path.substring(("/me/tiny/resolve/" + COMMIT + "/").length());
			if (name.endsWith(".safetensors")) {
				exchange.getResponseHeaders()
					.add("Location",
							"http://127.0.0.1:" + this.store.getAddress().getPort() + "/blob/" + name + "?signed=1");
				answer(exchange, 302, new byte[0]);
			}
			else {
				content(exchange, name, false);
			}
		}
		else {
			answer(exchange, 404, new byte[0]);
		}
	}

	private void store(HttpExchange exchange) throws IOException {
		this.storeSaw.add(seen(exchange));
		boolean cut = this.cuts > 0;
		this.cuts -= cut ? 1 : 0;
		content(exchange, exchange.getRequestURI().getPath().substring("/blob/".length()), cut);
	}

	private static Seen seen(HttpExchange exchange) {
		return new Seen(exchange.getRequestURI().getPath(), exchange.getRequestHeaders().getFirst("Range"),
				exchange.getRequestHeaders().getFirst("Authorization"));
	}

	private void content(HttpExchange exchange, String name, boolean cut) throws IOException {
		byte[] content = this.files.getOrDefault(name, new byte[0]);
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
		exchange.sendResponseHeaders(status, (body.length == 0) ? -1 : body.length);
		if (body.length > 0) {
			exchange.getResponseBody().write(body);
		}
		exchange.close();
	}

	private String listing() {
		List<String> siblings = new ArrayList<>();
		this.files.forEach((name, content) -> {
			String size = "\"size\": " + content.length;
			String lfs = name.endsWith(".safetensors") ? ", \"lfs\": {\"sha256\": \"" + digest("SHA-256", content)
					+ "\", " + size + ", \"pointerSize\": 134}" : "";
			siblings.add("{\"rfilename\": \"" + name + "\", \"blobId\": \"" + gitDigest(content) + "\", " + size + lfs
					+ "}");
		});
		return "{\"id\": \"me/tiny\", \"sha\": \"" + COMMIT + "\", \"siblings\": [" + String.join(", ", siblings)
				+ "]}";
	}

	private String gitDigest(byte[] content) {
		byte[] header = ("blob " + content.length + "\0").getBytes(StandardCharsets.US_ASCII);
		byte[] whole = Arrays.copyOf(header, header.length + content.length);
		System.arraycopy(content, 0, whole, header.length, content.length);
		return digest("SHA-1", whole);
	}

	private String digest(String algorithm, byte[] content) {
		try {
			MessageDigest digest = MessageDigest.getInstance(algorithm);
			return HexFormat.of().formatHex(digest.digest(this.lies ? new byte[] { 7 } : content));
		}
		catch (NoSuchAlgorithmException ex) {
			throw new IllegalStateException(ex);
		}
	}

	private Path cache() {
		return this.directory.resolve("hub");
	}

	private Path pull(String name, @Nullable String token, String... more) {
		Hub hub = new Hub("http://localhost:" + this.hub.getAddress().getPort(), token, cache(), Duration.ofMillis(1));
		return hub.pull(ModelName.of(name), List.of(more),
				(file, bytes, size) -> assertThat(bytes).isBetween(1L, size));
	}

	private String refusal(String name, @Nullable String token, String... more) {
		List<String> messages = new ArrayList<>();
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> pull(name, token, more))
			.satisfies((ex) -> messages.add(String.valueOf(ex.getMessage())));
		return messages.get(0);
	}

	@Test
	void aModelIsFetchedIntoTheCacheOfPython() throws IOException {
		Path model = pull("hf:me/tiny", TOKEN);
		assertThat(model).isEqualTo(cache().resolve("models--me--tiny/snapshots/" + COMMIT));
		assertThat(model).isDirectoryContaining("glob:**/config.json")
			.isDirectoryNotContaining("glob:**/{README.md,pytorch_model.bin,evil.json,original}");
		assertThat(cache().resolve("models--me--tiny/refs/main")).hasContent(COMMIT);
		Path weights = model.resolve("model.safetensors");
		assertThat(Files.readSymbolicLink(weights)).isEqualTo(
				Path.of("../../blobs/" + digest("SHA-256", this.files.getOrDefault("model.safetensors", new byte[0]))));
		assertThat(weights).hasBinaryContent(this.files.getOrDefault("model.safetensors", new byte[0]));
		assertThat(this.directory.resolve("evil.json")).doesNotExist();
		try (GenerationEngine engine = GenerationEngine.open(model, (options) -> options.program(TinyModel.PROGRAM))) {
			assertThat(engine.generate("a", (request) -> request.maxNewTokens(4)).text()).isNotNull();
		}
		// the token is the hub's alone
		assertThat(this.hubSaw).isNotEmpty().allMatch((seen) -> ("Bearer " + TOKEN).equals(seen.authorization()));
		assertThat(this.storeSaw).hasSize(1).allMatch((seen) -> seen.authorization() == null);

		// again: the listing alone
		this.hubSaw.clear();
		assertThat(pull("hf:me/tiny@" + COMMIT, null)).isEqualTo(model);
		assertThat(this.hubSaw).hasSize(1);
		assertThat(this.storeSaw).hasSize(1);
		pull("hf:me/tiny", null, "pytorch_model.bin");
		assertThat(model.resolve("pytorch_model.bin")).hasBinaryContent(new byte[100]);
	}

	@ParameterizedTest
	@ValueSource(booleans = { true, false })
	void aCutConnectionGoesOn(boolean ranges) {
		this.ranges = ranges;
		byte[] large = new byte[300_000];
		new Random(1).nextBytes(large);
		this.files.put("more.safetensors", large);
		this.files.remove("model.safetensors");
		this.cuts = 2;
		Path model = pull("hf:me/tiny", null);
		assertThat(model.resolve("more.safetensors")).hasBinaryContent(large);
		assertThat(this.storeSaw).hasSize(3);
		assertThat(this.storeSaw.get(1).range()).isNotNull().doesNotContain("bytes=0-");
	}

	@Test
	void whatWasCutOffGoesOnInTheNextRun() throws IOException {
		byte[] weights = this.files.getOrDefault("model.safetensors", new byte[0]);
		this.cuts = 100;
		assertThat(refusal("hf:me/tiny", null)).contains("hf:me/tiny@main cannot be fetched", "what is there is kept");
		Path part = cache().resolve("models--me--tiny/blobs/" + digest("SHA-256", weights) + ".incomplete");
		long there = Files.size(part);
		assertThat(there).isBetween(weights.length / 2L, weights.length - 1L);
		this.cuts = 0;
		this.storeSaw.clear();
		assertThat(pull("hf:me/tiny", null).resolve("model.safetensors")).hasBinaryContent(weights);
		assertThat(this.storeSaw).extracting(Seen::range).containsExactly("bytes=" + there + "-");
		assertThat(part).doesNotExist();
	}

	@Test
	void contentOfAnotherDigestIsRefused() throws IOException {
		this.lies = true;
		assertThat(refusal("hf:me/tiny", null)).contains("config.json is not what the hub lists");
		assertThat(cache().resolve("models--me--tiny/snapshots")).doesNotExist();
	}

	@Test
	void theHubSaysNo() {
		this.troubles.add(401);
		assertThat(refusal("hf:me/tiny", null)).contains("hf:me/tiny@main: may not be read (401)", "set HF_TOKEN");
		this.troubles.add(403);
		assertThat(refusal("hf:me/tiny", TOKEN)).contains("accept its terms").doesNotContain(TOKEN);
		assertThat(refusal("hf:me/other", null)).contains("hf:me/other@main is not at http://localhost");
		assertThat(refusal("hf:me/tiny@v2", null)).contains("hf:me/tiny@v2 is not at", "check name and revision");
		assertThat(refusal("hf:me/tiny", null, "other.bin")).contains("has no file other.bin");
		assertThat(refusal("hf:me/tiny", null, "../x.bin")).contains("../x.bin is no file of a model directory");
		this.files.remove("config.json");
		assertThat(refusal("hf:me/tiny", null)).contains("has no config.json");
	}

	@Test
	void aBusyHubIsAskedAgain() {
		this.troubles.addAll(List.of(429, 503, 429));
		assertThat(pull("hf:me/tiny", null)).isDirectory();
		this.troubles.addAll(List.of(429, 429, 429, 429, 429));
		assertThat(refusal("hf:me/tiny", null)).contains("answers no more requests (429)", "try again later");
	}

	@ParameterizedTest
	@ValueSource(strings = { "me/tiny", "hf:tiny", "hf:me/tiny/x", "hf:../tiny", "hf:me/..", "hf:me/tiny@../main",
			"hf:me/tiny@", "hf:me/ti ny", "hf:me/tiny?x" })
	void otherNamesAreRefused(String name) {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ModelName.of(name))
			.withMessageContaining("write hf:OWNER/NAME");
	}

	@Test
	void aTokenIsNotSentUnencrypted() {
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> new Hub("http://hub.example", TOKEN, cache()))
			.withMessageContaining("unencrypted")
			.withMessageNotContaining(TOKEN);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> new Hub("hub.example", null, cache()))
			.withMessageContaining("is no address of a hub");
	}

}

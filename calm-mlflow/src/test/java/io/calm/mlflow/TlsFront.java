package io.calm.mlflow;

import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;

import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;

import com.sun.net.httpserver.Headers;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpsConfigurator;
import com.sun.net.httpserver.HttpsServer;

/**
 * Stands before a server with a certificate that nobody else knows, as companies do it.
 */
public final class TlsFront implements AutoCloseable {

	private static final String PASSWORD = "changeit";

	private final URI server;

	private final Path certificate;

	private final HttpsServer front;

	private final List<Map.Entry<String, Headers>> calls = new CopyOnWriteArrayList<>();

	private final HttpClient client = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

	/**
	 * Starts.
	 * @param server that answers
	 * @param directory for the certificate
	 */
	public TlsFront(URI server, Path directory) throws IOException, GeneralSecurityException, InterruptedException {
		this.server = server;
		this.certificate = directory.resolve("server.pem");
		Path store = directory.resolve("server.p12");
		keytool(store, "-genkeypair", "-keyalg", "EC", "-dname", "CN=127.0.0.1", "-ext", "san=ip:127.0.0.1",
				"-validity", "2");
		keytool(store, "-exportcert", "-rfc", "-file", this.certificate.toString());
		KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
		keys.init(KeyStore.getInstance(store.toFile(), PASSWORD.toCharArray()), PASSWORD.toCharArray());
		SSLContext identity = SSLContext.getInstance("TLS");
		identity.init(keys.getKeyManagers(), null, null);
		this.front = HttpsServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
		this.front.setHttpsConfigurator(new HttpsConfigurator(identity));
		this.front.createContext("/", this::handle);
		this.front.start();
	}

	private static void keytool(Path store, String... arguments) throws IOException, InterruptedException {
		List<String> command = new ArrayList<>(
				List.of(Path.of(System.getProperty("java.home"), "bin", "keytool").toString()));
		command.addAll(List.of(arguments));
		command.addAll(List.of("-alias", "server", "-keystore", store.toString(), "-storepass", PASSWORD, "-storetype",
				"PKCS12"));
		Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
		String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
		if (process.waitFor() != 0) {
			throw new IllegalStateException(output);
		}
	}

	/** Where it stands. */
	public String uri() {
		return "https://127.0.0.1:" + this.front.getAddress().getPort();
	}

	/** A PEM file. */
	public Path certificate() {
		return this.certificate;
	}

	/** What was brought along by calls of this path. */
	public List<Headers> received(String path) {
		return this.calls.stream().filter((call) -> call.getKey().equals(path)).map(Map.Entry::getValue).toList();
	}

	private void handle(HttpExchange exchange) throws IOException {
		try (exchange) {
			Headers headers = exchange.getRequestHeaders();
			this.calls.add(Map.entry(exchange.getRequestURI().getPath(), headers));
			HttpRequest.Builder request = HttpRequest.newBuilder(this.server.resolve(exchange.getRequestURI()))
				.method(exchange.getRequestMethod(),
						BodyPublishers.ofByteArray(exchange.getRequestBody().readAllBytes()));
			for (String name : List.of("Content-Type", "x-mlflow-experiment-id")) {
				headers.getOrDefault(name, List.of()).forEach((value) -> request.header(name, value));
			}
			HttpResponse<byte[]> answer = this.client.send(request.build(), BodyHandlers.ofByteArray());
			exchange.sendResponseHeaders(answer.statusCode(), (answer.body().length > 0) ? answer.body().length : -1);
			exchange.getResponseBody().write(answer.body());
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
	}

	@Override
	public void close() {
		this.front.stop(0);
	}

}

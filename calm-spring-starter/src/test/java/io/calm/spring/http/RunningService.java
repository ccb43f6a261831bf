package io.calm.spring.http;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

import io.calm.spring.MovingModel;
import io.calm.spring.SeenGenerations;
import io.calm.spring.ServedModel;
import io.calm.spring.TinyModel;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnWebApplication;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;
import org.springframework.context.annotation.Bean;
import org.springframework.http.client.ReactorResourceFactory;

/**
 * The service with a tiny model, in an application of its own with its server. What tests
 * ask, they ask over HTTP.
 */
final class RunningService implements AutoCloseable {

	private static final JsonMapper JSON = new JsonMapper();

	private static final HttpClient HTTP = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();

	private final ConfigurableApplicationContext context;

	private RunningService(ConfigurableApplicationContext context) {
		this.context = context;
	}

	/** In a servlet application. */
	static RunningService start(String... properties) {
		return start(WebApplicationType.SERVLET, properties);
	}

	/** On this machine only, unless the properties say something else. */
	static RunningService start(WebApplicationType type, String... properties) {
		List<String> arguments = new ArrayList<>(List.of(properties));
		Stream
			.of("--server.port=0", "--server.address=127.0.0.1", "--calm.http.enabled=true",
					"--calm.model.location=file:" + TinyModel.directory(), "--calm.engine.context=2048",
					"--calm.generation.candidates=2", "--calm.generation.max-new-tokens=40")
			.filter((each) -> arguments.stream().noneMatch((given) -> key(given).equals(key(each))))
			.toList()
			.forEach(arguments::add);
		return new RunningService(
				new SpringApplicationBuilder(Application.class).web(type).run(arguments.toArray(String[]::new)));
	}

	private static String key(String argument) {
		return argument.substring(0, argument.indexOf('='));
	}

	int port() {
		return this.context.getEnvironment().getRequiredProperty("local.server.port", Integer.class);
	}

	ServedModel model() {
		return bean(ServedModel.class);
	}

	int active() {
		return Objects.requireNonNull(model().status().engine()).active();
	}

	int waiting() {
		return Objects.requireNonNull(model().status().engine()).waiting();
	}

	<T> T bean(Class<T> type) {
		return this.context.getBean(type);
	}

	HttpRequest.Builder request(String path) {
		return HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port() + path));
	}

	static HttpResponse<String> send(HttpRequest.Builder request) {
		try {
			return HTTP.send(request.build(), BodyHandlers.ofString());
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		catch (InterruptedException ex) {
			throw new IllegalStateException(ex);
		}
	}

	HttpResponse<String> get(String path) {
		return send(request(path));
	}

	HttpResponse<String> post(String path, String json) {
		return send(request(path).header("Content-Type", "application/json")
			.POST(HttpRequest.BodyPublishers.ofString(json)));
	}

	/** A connection for requests that no client would send. */
	Socket connect() throws IOException {
		Socket socket = new Socket(InetAddress.getLoopbackAddress(), port());
		socket.setSoTimeout(60_000);
		return socket;
	}

	/** A connection with a request, whose answer nobody reads yet. */
	Socket connect(String path, String json) throws IOException {
		Socket socket = connect();
		byte[] body = json.getBytes(StandardCharsets.UTF_8);
		socket.getOutputStream()
			.write(("POST " + path + " HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
					+ "Content-Length: " + body.length + "\r\n\r\n")
				.getBytes(StandardCharsets.US_ASCII));
		socket.getOutputStream().write(body);
		socket.getOutputStream().flush();
		return socket;
	}

	static JsonNode json(HttpResponse<String> response) {
		return JSON.readTree(response.body());
	}

	/** The objects of a stream, without the word that ends it. */
	static List<JsonNode> events(HttpResponse<String> response) {
		return response.body()
			.lines()
			.filter((line) -> line.startsWith("data: {"))
			.map((line) -> JSON.readTree(line.substring("data: ".length())))
			.toList();
	}

	@Override
	public void close() {
		this.context.close();
	}

	@SpringBootConfiguration
	@EnableAutoConfiguration
	static class Application {

		@Bean
		static SeenGenerations seenGenerations() {
			return new SeenGenerations();
		}

		@Bean
		static MovingModel movingModel() {
			return new MovingModel();
		}

		/**
		 * Else the first application that ends takes the threads of the others with it.
		 */
		@Bean
		@ConditionalOnWebApplication(type = ConditionalOnWebApplication.Type.REACTIVE)
		static ReactorResourceFactory ownThreads() {
			ReactorResourceFactory own = new ReactorResourceFactory();
			own.setUseGlobalResources(false);
			return own;
		}

	}

}

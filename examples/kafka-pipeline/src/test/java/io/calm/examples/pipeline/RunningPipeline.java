package io.calm.examples.pipeline;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.Stream;

import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import org.springframework.boot.web.server.servlet.context.ServletWebServerApplicationContext;
import org.springframework.util.FileSystemUtils;

/**
 * The application as a user starts it, with two tiny models and its own broker: one for
 * all tests. What they ask, they ask over HTTP.
 */
final class RunningPipeline implements AutoCloseable {

	private static final JsonMapper JSON = new JsonMapper();

	private static final HttpClient HTTP = HttpClient.newHttpClient();

	private static final Path MODELS = models();

	private static final RunningPipeline SHARED = shared();

	private final ServletWebServerApplicationContext context;

	private RunningPipeline(ServletWebServerApplicationContext context) {
		this.context = context;
	}

	/**
	 * An event of a stream.
	 *
	 * @param name of the event
	 * @param data of the event
	 */
	record Event(String name, JsonNode data) {
	}

	/** With the models k4 and k8. */
	static RunningPipeline withTwoModels() {
		return SHARED;
	}

	/**
	 * A further one, with one model and the broker of the first: to it, a broker like any
	 * other.
	 */
	static RunningPipeline onTheSameBroker(String... arguments) {
		List<String> all = new ArrayList<>(List.of(arguments));
		all.add("--calm.model.location=file:" + MODELS.resolve("k4"));
		all.add("--spring.kafka.bootstrap-servers=" + SHARED.property("spring.kafka.bootstrap-servers"));
		return start(all);
	}

	/** One that has to train its model first, for some steps. */
	static RunningPipeline withoutAModel(Path directory) {
		return start(List.of("--calm.pipeline.directory=" + directory, "--calm.pipeline.training.corpus-bytes=65536",
				"--calm.pipeline.training.vocabulary=300", "--calm.pipeline.training.autoencoder-steps=12",
				"--calm.pipeline.training.steps=12", "--calm.pipeline.training.fused=false"));
	}

	static RunningPipeline start(List<String> arguments) {
		List<String> all = new ArrayList<>(arguments);
		all.add("--server.port=0");
		all.add("--calm.streaming.shutdown-grace=100ms");
		return new RunningPipeline(
				(ServletWebServerApplicationContext) KafkaPipeline.application().run(all.toArray(String[]::new)));
	}

	private static RunningPipeline shared() {
		RunningPipeline pipeline = start(List.of("--calm.pipeline.models.k4=file:" + MODELS.resolve("k4"),
				"--calm.pipeline.models.k8=file:" + MODELS.resolve("k8")));
		Runtime.getRuntime().addShutdownHook(new Thread(pipeline::close));
		return pipeline;
	}

	private static Path models() {
		try {
			Path directory = Files.createTempDirectory("calm-pipeline-tests-");
			Runtime.getRuntime().addShutdownHook(new Thread(() -> delete(directory)));
			TinyModel.train(directory, 4);
			TinyModel.train(directory, 8);
			return directory;
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	private static void delete(Path directory) {
		try {
			FileSystemUtils.deleteRecursively(directory);
		}
		catch (IOException ex) {
			// the system cleans its temporary directory
		}
	}

	String property(String name) {
		return this.context.getEnvironment().getRequiredProperty(name);
	}

	<T> T bean(Class<T> type) {
		return this.context.getBean(type);
	}

	String url(String path) {
		return "http://127.0.0.1:" + Objects.requireNonNull(this.context.getWebServer()).getPort() + path;
	}

	HttpResponse<Stream<String>> send(String method, String path, String json) {
		HttpRequest request = HttpRequest.newBuilder(URI.create(url(path)))
			.method(method, HttpRequest.BodyPublishers.ofString(json))
			.header("Content-Type", "application/json")
			.build();
		try {
			return HTTP.send(request, BodyHandlers.ofLines());
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		catch (InterruptedException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/** The events of a stream, as they come; closing it closes the connection. */
	Stream<Event> events(String method, String path, String json) {
		String[] name = { "" };
		Stream<String> lines = send(method, path, json).body();
		return lines.filter((line) -> {
			if (line.startsWith("event:")) {
				name[0] = line.substring("event:".length());
			}
			return line.startsWith("data:");
		}).map((line) -> new Event(name[0], JSON.readTree(line.substring("data:".length())))).onClose(lines::close);
	}

	/** All events of a text. */
	List<Event> write(String form) {
		try (Stream<Event> events = events("POST", "/texts", form)) {
			return events.toList();
		}
	}

	JsonNode state() {
		return JSON.readTree(String.join("\n", send("GET", "/state", "").body().toList()));
	}

	@Override
	public void close() {
		this.context.close();
	}

}

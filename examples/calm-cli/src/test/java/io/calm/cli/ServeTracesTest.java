package io.calm.cli;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.UUID;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.mlflow.MlflowServer;
import io.calm.mlflow.ReceivedTrace;
import io.calm.mlflow.TlsFront;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.mlflow.tracking.MlflowClient;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Traces of {@code calm serve} on a real MLflow server, which has a certificate of its
 * own.
 */
@ExtendWith(MlflowServer.class)
class ServeTracesTest {

	private static final String PROMPT = "The prompt is private.";

	private static final String TRACES = "/v1/traces";

	private static Path model;

	private final URI server;

	private final MlflowClient client;

	private final Path directory;

	private final String experiment = "traces-" + UUID.randomUUID();

	ServeTracesTest(URI server, @TempDir Path directory) {
		this.server = server;
		this.client = new MlflowClient(server.toString());
		this.directory = directory;
	}

	@BeforeAll
	static void train(@TempDir Path directory) throws IOException {
		model = RunningServe.tinyModel(directory);
	}

	/**
	 * Variables of OpenTelemetry may be meant for another server: it gets no trace, and
	 * its secrets stay here.
	 */
	@Test
	void theServerOfMlflowsVariables() throws Exception {
		// the path of the certificate is no URL as it stands
		try (TlsFront front = new TlsFront(this.server, Files.createDirectory(this.directory.resolve("its own #1")))) {
			String text = written(
					Map.of("MLFLOW_TRACKING_URI", front.uri(), "MLFLOW_TRACKING_SERVER_CERT_PATH",
							front.certificate().toString(), "MLFLOW_TRACKING_TOKEN", "t0ken",
							"OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc",
							"OTEL_EXPORTER_OTLP_HEADERS", "x-other=s3cret"),
					"--traces", this.experiment, "--trace-texts");
			String id = this.client.getExperimentByName(this.experiment).orElseThrow().getExperimentId();
			assertThat(ReceivedTrace.of(this.server, id)).singleElement().satisfies((trace) -> {
				assertThat(trace.spans()).singleElement()
					.satisfies((span) -> assertThat(span.get("name").getAsString()).isEqualTo("text_completion tiny"));
				assertThat(trace.info().get("request_preview").getAsString()).contains(PROMPT);
				JsonObject message = JsonParser.parseString(trace.info().get("response_preview").getAsString())
					.getAsJsonArray()
					.get(0)
					.getAsJsonObject();
				assertThat(message.getAsJsonArray("parts").get(0).getAsJsonObject().get("content").getAsString())
					.isEqualTo(text);
			});
			assertThat(front.received(TRACES)).singleElement().satisfies((headers) -> {
				assertThat(headers.getFirst("Authorization")).isEqualTo("Bearer t0ken");
				assertThat(headers).doesNotContainKey("X-other");
			});
		}
	}

	@Test
	void theServerOfOpenTelemetrysVariables() throws Exception {
		try (TlsFront front = new TlsFront(this.server, this.directory)) {
			String id = this.client.createExperiment(this.experiment);
			written(Map.of("OTEL_EXPORTER_OTLP_ENDPOINT", front.uri(), "OTEL_EXPORTER_OTLP_CERTIFICATE",
					front.certificate().toString(), "OTEL_EXPORTER_OTLP_HEADERS",
					"x-mlflow-experiment-id=" + id + ",Authorization=Bearer%20t0ken"));
			assertThat(ReceivedTrace.of(this.server, id)).singleElement()
				.satisfies((trace) -> assertThat(trace.spans().toString()).doesNotContain(PROMPT));
			assertThat(front.received(TRACES)).singleElement()
				.satisfies((headers) -> assertThat(headers.getFirst("Authorization")).isEqualTo("Bearer t0ken"));
		}
	}

	/** By a service that has ended. */
	private String written(Map<String, String> environment, String... options)
			throws IOException, InterruptedException {
		try (RunningServe serve = RunningServe.start(environment, model, this.directory, options)) {
			String answer = HttpClient.newHttpClient()
				.send(HttpRequest.newBuilder(URI.create(serve.api() + "/completions"))
					.header("Content-Type", "application/json")
					.POST(HttpRequest.BodyPublishers.ofString("{\"prompt\":\"" + PROMPT + "\",\"max_tokens\":8}"))
					.build(), BodyHandlers.ofString())
				.body();
			return JsonParser.parseString(answer)
				.getAsJsonObject()
				.getAsJsonArray("choices")
				.get(0)
				.getAsJsonObject()
				.get("text")
				.getAsString();
		}
	}

}

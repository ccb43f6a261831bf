package io.calm.cli;

import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;
import java.util.UUID;
import java.util.stream.Stream;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.mlflow.MlflowServer;
import io.calm.mlflow.ReceivedTrace;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.mlflow.tracking.MlflowClient;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Traces of {@code calm serve} on a real MLflow server.
 */
@ExtendWith(MlflowServer.class)
class ServeTracesTest {

	private static final String PROMPT = "The prompt is private.";

	private final URI server;

	private final Path directory;

	private final String experiment = "traces-" + UUID.randomUUID();

	ServeTracesTest(URI server, @TempDir Path directory) {
		this.server = server;
		this.directory = directory;
	}

	@Test
	void promptAndTextAreInTheListWhereAskedFor() throws IOException, InterruptedException {
		String text = written(RunningServe.tinyModel(this.directory), "--trace-texts");
		String id = new MlflowClient(this.server.toString()).getExperimentByName(this.experiment)
			.orElseThrow()
			.getExperimentId();
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
	}

	/** By a service that has ended. */
	private String written(Path model, String... options) throws IOException, InterruptedException {
		String[] all = Stream
			.concat(Stream.of("--mlflow", this.server.toString(), "--traces", this.experiment), Stream.of(options))
			.toArray(String[]::new);
		try (RunningServe serve = RunningServe.start(model, this.directory, false, all)) {
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

package io.calm.spring.http;

import java.net.URI;
import java.util.List;
import java.util.UUID;
import java.util.stream.Stream;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import io.calm.mlflow.MlflowServer;
import io.calm.mlflow.ReceivedTrace;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.mlflow.tracking.MlflowClient;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * What a real MLflow server receives of an application with Spring Boot's own properties
 * for traces.
 */
@ExtendWith(MlflowServer.class)
class TracesTests {

	private static final String PROMPT = "The prompt is private.";

	private static final String ORDER = "{\"prompt\":\"" + PROMPT + "\",\"max_tokens\":8}";

	private final URI server;

	private final String experiment;

	TracesTests(URI server) {
		this.server = server;
		this.experiment = new MlflowClient(server.toString()).createExperiment("traces-" + UUID.randomUUID());
	}

	private RunningService start(String... more) {
		String export = "--management.opentelemetry.tracing.export.otlp.";
		return RunningService.start(Stream.concat(Stream.of(export + "endpoint=" + this.server + "/v1/traces",
				export + "headers.x-mlflow-experiment-id=" + this.experiment,
				"--management.tracing.sampling.probability=1"), Stream.of(more))
			.toArray(String[]::new));
	}

	/** All that have a span of an operation. The service that sent them has ended. */
	private List<ReceivedTrace> traces(String operation) {
		return ReceivedTrace.of(this.server, this.experiment)
			.stream()
			.filter((trace) -> trace.spans().size() == 2 && operation(trace).equals(operation))
			.toList();
	}

	private static String operation(ReceivedTrace trace) {
		return ReceivedTrace.attribute(trace.spans().get(1), "gen_ai.operation.name").getAsString();
	}

	private static void assertChildOfItsRequest(ReceivedTrace trace) {
		JsonObject request = trace.spans().get(0);
		assertThat(request.get("name").getAsString()).isEqualTo("http post");
		assertThat(request.get("parent_span_id").isJsonNull()).isTrue();
		assertThat(trace.spans().get(1).get("parent_span_id")).isEqualTo(request.get("span_id"));
	}

	@Test
	void spansArriveWithoutPromptAndText() {
		String text;
		try (RunningService service = start()) {
			text = RunningService.json(service.post("/v1/completions", ORDER)).at("/choices/0/text").asString();
			service.post("/v1/embeddings", "{\"input\":\"" + PROMPT + "\"}");
			service.post("/v1/completions", "{\"prompt\":\"" + PROMPT.repeat(500) + "\"}");
		}
		List<ReceivedTrace> texts = traces("text_completion");
		assertThat(texts).hasSize(2).allSatisfy(TracesTests::assertChildOfItsRequest);
		JsonObject written = texts.get(1).spans().get(1);
		assertThat(ReceivedTrace.attribute(written, "mlflow.spanType").getAsString()).isEqualTo("LLM");
		assertThat(ReceivedTrace.attribute(written, "mlflow.llm.model").getAsString()).isEqualTo("tiny");
		assertThat(texts.get(1).info().getAsJsonObject("trace_metadata").get("mlflow.trace.tokenUsage").getAsString())
			.isEqualTo("{\"input_tokens\": 22, \"output_tokens\": 8, \"total_tokens\": 30}");
		JsonObject refused = texts.get(0).spans().get(1);
		assertThat(refused.getAsJsonObject("status").get("code").getAsString()).isEqualTo("STATUS_CODE_ERROR");
		assertThat(traces("embeddings")).singleElement().satisfies(TracesTests::assertChildOfItsRequest);
		assertThat(ReceivedTrace.of(this.server, this.experiment).toString()).contains("gen_ai.usage.output_tokens")
			.doesNotContain("private", new JsonPrimitive(text).toString());
	}

	@Test
	void promptAndTextArriveWhereAskedFor() {
		String text;
		try (RunningService service = start("--calm.observations.include-prompt=true",
				"--calm.observations.include-completion=true")) {
			text = RunningService.json(service.post("/v1/completions", ORDER)).at("/choices/0/text").asString();
		}
		assertThat(traces("text_completion")).singleElement().satisfies((trace) -> {
			JsonObject span = trace.spans().get(1);
			assertThat(content(ReceivedTrace.attribute(span, "mlflow.spanInputs").getAsJsonArray())).isEqualTo(PROMPT);
			assertThat(content(ReceivedTrace.attribute(span, "mlflow.spanOutputs").getAsJsonArray())).isEqualTo(text);
		});
	}

	private static String content(JsonArray messages) {
		assertThat(messages).hasSize(1);
		JsonArray parts = messages.get(0).getAsJsonObject().getAsJsonArray("parts");
		assertThat(parts).hasSize(1);
		return parts.get(0).getAsJsonObject().get("content").getAsString();
	}

}

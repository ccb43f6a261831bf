package io.calm.spring.http;

import java.net.Socket;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.time.Duration;
import java.util.Base64;
import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;

import io.calm.spring.GenerationObservationContext;
import io.calm.spring.SeenGenerations;
import io.calm.spring.TextGenerator;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.RepeatedTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.AfterParameterizedClassInvocation;
import org.junit.jupiter.params.BeforeParameterizedClassInvocation;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import tools.jackson.databind.JsonNode;

import org.springframework.boot.WebApplicationType;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * What the service answers to those who may use it and ask for what it has.
 */
@ParameterizedClass
@EnumSource(names = { "SERVLET", "REACTIVE" })
@ExtendWith(OutputCaptureExtension.class)
class HttpServiceTests {

	/** Takes minutes: whoever reads it to the end has waited for a test that failed. */
	private static final String ENDLESS = "\"max_tokens\":100000,\"candidates\":10000}";

	private static RunningService service;

	@Parameter
	private WebApplicationType type = WebApplicationType.NONE;

	@BeforeParameterizedClassInvocation
	static void start(WebApplicationType type) {
		service = RunningService.start(type, "--logging.level.io.calm=trace",
				"--logging.level.org.springframework.web=trace", "--logging.level.org.springframework.http=trace");
	}

	@AfterParameterizedClassInvocation
	static void stop() {
		service.close();
	}

	@BeforeEach
	void forget() {
		service.bean(SeenGenerations.class).ended().clear();
	}

	private static JsonNode complete(String json) {
		HttpResponse<String> response = service.post("/v1/completions", json);
		assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
		assertThat(response.headers().firstValue("Content-Type")).hasValue("application/json");
		return RunningService.json(response);
	}

	private static List<JsonNode> stream(String path, String json) {
		HttpResponse<String> response = service.post(path, json);
		assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
		assertThat(response.headers().firstValue("Content-Type")).hasValue("text/event-stream;charset=UTF-8");
		assertThat(response.body()).endsWith("data: [DONE]\n\n").containsOnlyOnce("[DONE]");
		return RunningService.events(response);
	}

	private static String text(JsonNode answer, int choice) {
		return answer.path("choices").path(choice).path("text").stringValue();
	}

	@Test
	void listsItsModel() {
		JsonNode models = RunningService.json(service.get("/v1/models"));
		assertThat(models.path("data")).hasSize(1);
		assertThat(models.path("data").path(0)).isEqualTo(RunningService.json(service.get("/v1/models/tiny")));
		assertThat(models.path("data").path(0).path("id").stringValue()).isEqualTo("tiny");
		assertThat(service.get("/v1/models/other").statusCode()).isEqualTo(404);
	}

	@Test
	void aTextIsThatOfTheGenerator() {
		JsonNode answer = complete("{\"model\":\"tiny\",\"prompt\":\"One fish\",\"max_tokens\":11,\"seed\":7}");
		String text = service.bean(TextGenerator.class)
			.generate("One fish", (request) -> request.maxNewTokens(11).seed(7));
		assertThat(text(answer, 0)).isEqualTo(text);
		assertThat(answer.path("object").stringValue()).isEqualTo("text_completion");
		assertThat(answer.path("id").stringValue()).startsWith("cmpl-");
		assertThat(answer.path("model").stringValue()).isEqualTo("tiny");
		assertThat(answer.path("choices").path(0).path("finish_reason").stringValue()).isEqualTo("length");
		assertThat(answer.path("choices").path(0).path("logprobs").isNull()).isTrue();
		assertThat(answer.path("usage").path("prompt_tokens").intValue()).isEqualTo("One fish".length());
		assertThat(answer.path("usage").path("completion_tokens").intValue()).isEqualTo(11);
		assertThat(answer.path("usage").path("total_tokens").intValue()).isEqualTo("One fish".length() + 11);
	}

	@Test
	void aStreamIsTheSameTextInPieces() {
		String order = "\"prompt\":\"One fish\",\"max_tokens\":40,\"seed\":3";
		List<JsonNode> events = stream("/v1/completions",
				"{" + order + ",\"stream\":true,\"stream_options\":{\"include_usage\":true}}");
		JsonNode whole = complete("{" + order + "}");
		assertThat(events.stream()
			.map((event) -> event.path("choices").path(0).path("text").asString(""))
			.collect(Collectors.joining())).isEqualTo(text(whole, 0));
		// a patch has four tokens of a byte each
		assertThat(events).hasSizeGreaterThan(3);
		JsonNode last = events.get(events.size() - 1);
		assertThat(last.path("choices")).isEmpty();
		assertThat(last.path("usage")).isEqualTo(whole.path("usage"));
		JsonNode end = events.get(events.size() - 2);
		assertThat(end.path("choices").path(0).path("finish_reason").stringValue()).isEqualTo("length");
		assertThat(end.path("usage").isNull()).isTrue();
		assertThat(events).extracting((event) -> event.path("id").stringValue())
			.containsOnly(last.path("id").stringValue());
	}

	@Test
	void aStreamWithoutUsageHasNone() {
		assertThat(stream("/v1/completions", "{\"prompt\":\"Two\",\"stream\":true}"))
			.allMatch((event) -> !event.has("usage") && event.path("choices").size() == 1);
	}

	@Test
	void aChatIsThePromptOfTheChatModel() {
		String order = "\"messages\":[{\"role\":\"system\",\"content\":\"Be brief.\"},"
				+ "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Two\"}]}],\"max_completion_tokens\":12,\"seed\":5";
		HttpResponse<String> response = service.post("/v1/chat/completions", "{" + order + "}");
		JsonNode answer = RunningService.json(response);
		String text = service.bean(TextGenerator.class)
			.generate("Be brief.\nTwo", (request) -> request.maxNewTokens(12).seed(5));
		assertThat(answer.path("object").stringValue()).isEqualTo("chat.completion");
		assertThat(answer.path("choices").path(0).path("message").path("role").stringValue()).isEqualTo("assistant");
		assertThat(answer.path("choices").path(0).path("message").path("content").stringValue()).isEqualTo(text);
		assertThat(answer.path("usage").path("prompt_tokens").intValue()).isEqualTo("Be brief.\nTwo".length());

		List<JsonNode> events = stream("/v1/chat/completions", "{" + order + ",\"stream\":true}");
		assertThat(events.get(0).path("choices").path(0).path("delta").path("role").stringValue())
			.isEqualTo("assistant");
		assertThat(events).extracting((event) -> event.path("object").stringValue())
			.containsOnly("chat.completion.chunk");
		assertThat(events.stream()
			.map((event) -> event.path("choices").path(0).path("delta").path("content").asString(""))
			.collect(Collectors.joining())).isEqualTo(text);
		assertThat(events.get(events.size() - 1).path("choices").path(0).path("finish_reason").stringValue())
			.isEqualTo("length");
	}

	@Test
	void severalTextsOfSeveralPrompts() {
		JsonNode answer = complete("{\"prompt\":[\"One\",\"Two\"],\"n\":2,\"max_tokens\":40,\"seed\":1}");
		assertThat(answer.path("choices")).extracting((choice) -> choice.path("index").intValue())
			.containsExactly(0, 1, 2, 3);
		assertThat(text(answer, 0)).isNotEqualTo(text(answer, 1));
		// whatever else is asked for, a prompt has its texts
		JsonNode second = complete("{\"prompt\":\"Two\",\"n\":2,\"max_tokens\":40,\"seed\":1}");
		assertThat(text(second, 0)).isEqualTo(text(answer, 2));
		assertThat(text(second, 1)).isEqualTo(text(answer, 3));
		assertThat(answer.path("usage").path("prompt_tokens").intValue()).isEqualTo("OneTwo".length());
		assertThat(answer.path("usage").path("completion_tokens").intValue()).isEqualTo(160);
		List<JsonNode> events = stream("/v1/completions",
				"{\"prompt\":[\"One\",\"Two\"],\"n\":2,\"max_tokens\":40,\"seed\":1,\"stream\":true}");
		for (int i = 0; i < 4; i++) {
			int index = i;
			assertThat(events.stream()
				.map((event) -> event.path("choices").path(0))
				.filter((choice) -> choice.path("index").intValue() == index)
				.map((choice) -> choice.path("text").stringValue())
				.collect(Collectors.joining())).isEqualTo(text(answer, i));
		}
	}

	@Test
	void withoutASeedNoTwoTextsAreTheSame() {
		JsonNode answer = complete("{\"prompt\":\"One\",\"n\":3,\"max_tokens\":40}");
		assertThat(answer.path("choices")).extracting((choice) -> choice.path("text").stringValue())
			.doesNotHaveDuplicates();
		assertThat(text(complete("{\"prompt\":\"One\",\"max_tokens\":40}"), 0)).isNotEqualTo(text(answer, 0));
	}

	@Test
	void aStopStringEndsTheTextBeforeIt() {
		String order = "{\"prompt\":\"One\",\"max_tokens\":40,\"seed\":2";
		String text = text(complete(order + "}"), 0);
		// in the middle of a patch, and in characters that need no escape
		int at = text.codePoints().mapToObj(Character::toString).toList().size() / 2;
		String stop = text.substring(at, at + 2);
		String json = tools.jackson.databind.node.StringNode.valueOf(stop).toString();
		for (String value : List.of(json, "[\"never said\"," + json + "]")) {
			JsonNode answer = complete(order + ",\"stop\":" + value + "}");
			assertThat(text(answer, 0)).isEqualTo(text.substring(0, text.indexOf(stop)));
			assertThat(answer.path("choices").path(0).path("finish_reason").stringValue()).isEqualTo("stop");
		}
	}

	@Test
	void samplingReachesTheEngine() {
		complete("{\"prompt\":\"One\",\"temperature\":0.5,\"candidates\":7,\"top_k\":3,\"max_tokens\":4}");
		complete("{\"prompt\":\"One\",\"exact\":true,\"max_tokens\":4}");
		assertThat(service.bean(SeenGenerations.class).ended())
			.extracting((seen) -> seen.request().sampling().toString())
			.containsExactly("Sampling[temperature=0.5, topK=3, topP=1.0, candidates=7, exact=false]",
					"Sampling[temperature=1.0, topK=2147483647, topP=1.0, candidates=2, exact=true]");
	}

	@Test
	void fieldsThatAskForNothingAreNoMistakes() {
		complete("{\"prompt\":\"One\",\"logprobs\":null,\"logit_bias\":{},\"presence_penalty\":0.0,\"best_of\":1,"
				+ "\"echo\":false,\"suffix\":null,\"user\":\"me\",\"stream\":false,\"top_p\":1,\"seed\":null}");
		HttpResponse<String> chat = service.post("/v1/chat/completions",
				"{\"messages\":[{\"role\":\"user\",\"content\":\"One\",\"name\":\"Mia\"}],\"tools\":[],\"logprobs\":false,"
						+ "\"response_format\":{\"type\":\"text\"},\"tool_choice\":\"none\",\"store\":false}");
		assertThat(chat.statusCode()).as(chat.body()).isEqualTo(200);
	}

	@Test
	void anyTextIsAPrompt() {
		complete("{}");
		complete("{\"prompt\":\"\"}");
		complete("{\"prompt\":\"größer \\ud83d\\ude00 \\u0000\"}");
	}

	@ParameterizedTest
	@ValueSource(strings = { "{\"prompt\":\"One\",", "{\"prompt\":[\"One\",\"Two\"],\"stream\":true,",
			"{\"prompt\":\"One\",\"n\":2,\"stream\":true," })
	void aClientThatLeavesEndsItsTexts(String order, CapturedOutput output) throws Exception {
		try (Socket client = service.connect("/v1/completions", order + ENDLESS)) {
			await().until(() -> service.active() > 0);
			// if it waits for more than the whole, it has an answer
			if (order.contains("stream")) {
				assertThat(client.getInputStream().read()).isPositive();
			}
		}
		await().until(() -> service.active() == 0);
		assertThat(service.bean(SeenGenerations.class).ended()).isNotEmpty()
			.allMatch(GenerationObservationContext::cancelled);
		assertThat(output.toString()).doesNotContain("ERROR");
	}

	/** What Spring MVC learns only when it writes. */
	@Test
	void aClientThatLeavesWaitsNoLonger() throws Exception {
		Assumptions.assumeTrue(this.type == WebApplicationType.REACTIVE);
		String order = "{\"prompt\":\"One\",\"n\":4," + ENDLESS;
		try (Socket busy = service.connect("/v1/completions", order)) {
			await().until(() -> service.active() == 4);
			try (Socket client = service.connect("/v1/completions", order)) {
				await().until(() -> service.waiting() == 4);
			}
			await().until(() -> service.waiting() == 0);
			assertThat(service.active()).isEqualTo(4);
		}
		await().until(() -> service.active() == 0);
	}

	/** Often, for it needs two threads that meet. */
	@RepeatedTest(100)
	void aClientThatLeavesHarmsNoOther() throws Exception {
		try (Socket client = service.connect("/v1/completions", "{\"prompt\":\"One\",\"stream\":true," + ENDLESS)) {
			assertThat(client.getInputStream().read()).isPositive();
		}
		await().pollInterval(Duration.ofMillis(1)).until(() -> service.active() == 0);
		try (Socket client = service.connect("/v1/completions", "{\"prompt\":\"One\",\"max_tokens\":1}")) {
			assertThat(client.getInputStream().readNBytes(12)).asString().isEqualTo("HTTP/1.1 200");
		}
	}

	@Test
	void vectorsAreThoseOfTheModel() {
		JsonNode answer = RunningService.json(service.post("/v1/embeddings",
				"{\"model\":\"tiny\",\"input\":[\"One fish\",\"Two\"],\"user\":\"me\"}"));
		assertThat(answer.path("object").stringValue()).isEqualTo("list");
		assertThat(answer.path("model").stringValue()).isEqualTo("tiny");
		assertThat(answer.path("usage").path("prompt_tokens").intValue()).isEqualTo("One fishTwo".length());
		assertThat(answer.path("usage").path("total_tokens").intValue()).isEqualTo("One fishTwo".length());
		List<float[]> vectors = service.model().embed(List.of("One fish", "Two")).vectors();
		for (int i = 0; i < 2; i++) {
			JsonNode each = answer.path("data").path(i);
			assertThat(each.path("object").stringValue()).isEqualTo("embedding");
			assertThat(each.path("index").intValue()).isEqualTo(i);
			assertThat(each.path("embedding")).hasSize(8);
			for (int j = 0; j < 8; j++) {
				assertThat(each.path("embedding").path(j).floatValue()).isEqualTo(vectors.get(i)[j]);
			}
		}
		JsonNode coded = RunningService
			.json(service.post("/v1/embeddings", "{\"input\":\"One fish\",\"encoding_format\":\"base64\"}"));
		assertThat(coded.path("data")).hasSize(1);
		FloatBuffer numbers = ByteBuffer
			.wrap(Base64.getDecoder().decode(coded.path("data").path(0).path("embedding").stringValue()))
			.order(ByteOrder.LITTLE_ENDIAN)
			.asFloatBuffer();
		assertThat(numbers).isEqualTo(FloatBuffer.wrap(vectors.get(0)));
	}

	@Test
	void textsArePrivate(CapturedOutput output) {
		complete("{\"prompt\":\"verysecret\",\"stop\":[\"topsecret\"],\"user\":\"mysecret\"}");
		service.post("/v1/completions", "{\"prompt\":\"verysecret\",\"broken\":\"brokensecret\"}");
		service.post("/v1/completions", "{\"prompt\":\"verysecret\" brokensecret}");
		service.post("/v1/embeddings", "{\"input\":\"verysecret\"}");
		assertThat(output.toString()).doesNotContain("secret");
		assertThat(Objects.requireNonNull(service.bean(SeenGenerations.class).ended().get(0)).prompt()).isNull();
	}

}

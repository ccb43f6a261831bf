package io.calm.spring.http;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.Socket;
import java.net.SocketException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Collectors;

import io.calm.generation.Chunk;
import io.calm.input.InvalidInputException;
import io.calm.spring.TextGenerator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.AfterParameterizedClassInvocation;
import org.junit.jupiter.params.BeforeParameterizedClassInvocation;
import org.junit.jupiter.params.Parameter;
import org.junit.jupiter.params.ParameterizedClass;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;
import tools.jackson.databind.JsonNode;

import org.springframework.boot.WebApplicationType;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.awaitility.Awaitility.await;

/**
 * What the service answers to those who may not use it, or ask for what it does not have.
 */
@ParameterizedClass
@EnumSource(names = { "SERVLET", "REACTIVE" })
@ExtendWith(OutputCaptureExtension.class)
class RefusedRequestTests {

	private static final String KEY = "the-first-key-of-two";

	private static final String OTHER_KEY = "the-second-key-of-two";

	/** For tests that ask for no text. */
	private static final String LAZY = "--calm.model.loading=lazy";

	private static RunningService open;

	private static RunningService locked;

	@Parameter
	private WebApplicationType type = WebApplicationType.NONE;

	@BeforeParameterizedClassInvocation
	static void start(WebApplicationType type) {
		open = RunningService.start(type, "--calm.engine.slots=1", "--calm.engine.queue=1", "--calm.engine.buffer=1");
		// reachable from elsewhere, and without a model until it is asked for one
		locked = RunningService.start(type, "--server.address=", "--calm.http.api-keys=" + KEY + "," + OTHER_KEY, LAZY,
				"--calm.model.location=file:/secret/place", "--calm.model.name=tiny");
	}

	@AfterParameterizedClassInvocation
	static void stop() {
		open.close();
		locked.close();
	}

	private static JsonNode assertRefused(HttpResponse<String> response, int status, String code) {
		assertThat(response.statusCode()).as(response.body()).isEqualTo(status);
		assertThat(response.headers().firstValue("Content-Type")).hasValue("application/json");
		assertThat(response.headers().map()).doesNotContainKey("access-control-allow-origin");
		JsonNode error = RunningService.json(response).path("error");
		assertThat(error.path("code").stringValue()).isEqualTo(code);
		assertThat(error.path("type").stringValue()).isNotEmpty();
		assertThat(error.has("param")).isTrue();
		return error;
	}

	private static HttpResponse<String> withKey(String authorization) {
		return RunningService.send(locked.request("/v1/models").header("Authorization", authorization));
	}

	@Test
	void withoutAKey() {
		HttpResponse<String> response = locked.get("/v1/models");
		assertRefused(response, 401, "invalid_api_key");
		assertThat(response.headers().firstValue("WWW-Authenticate")).hasValue("Bearer");
		// before anything is read or looked for
		assertRefused(locked.post("/v1/completions", "no JSON"), 401, "invalid_api_key");
		assertRefused(locked.get("/v1/nothing"), 401, "invalid_api_key");
	}

	@ParameterizedTest
	@ValueSource(strings = { "Bearer the-first-key-of-twa", "Bearer the-first-key-of-two2", "Bearer ", "Bearer",
			"Basic " + KEY, KEY })
	void withAWrongKey(String authorization) {
		assertRefused(withKey(authorization), 401, "invalid_api_key");
	}

	@Test
	void withARightKey(CapturedOutput output) {
		for (String key : List.of(KEY, OTHER_KEY)) {
			assertThat(withKey("Bearer " + key).statusCode()).isEqualTo(200);
			assertThat(withKey("bearer  " + key).statusCode()).isEqualTo(200);
		}
		assertThat(output.toString()).doesNotContain("key-of-two");
		assertThat(locked.bean(CalmHttpProperties.class).toString()).doesNotContain("key-of-two");
	}

	@Test
	void whereTheModelCannotBeOpened() {
		HttpResponse<String> response = RunningService.send(locked.request("/v1/completions")
			.header("Authorization", "Bearer " + KEY)
			.header("Content-Type", "application/json")
			.POST(HttpRequest.BodyPublishers.ofString("{\"prompt\":\"One\",\"stream\":true}")));
		assertRefused(response, 503, "model_unavailable");
		assertThat(response.headers().firstValue("Retry-After")).hasValue("1");
		assertThat(response.body()).doesNotContain("/secret/place");
	}

	@ParameterizedTest
	@ValueSource(strings = { "", "0.0.0.0" })
	void withoutKeysNobodyElseMayReachIt(String address, CapturedOutput output) {
		assertThatExceptionOfType(Exception.class)
			.isThrownBy(() -> RunningService.start(this.type, "--server.address=" + address, LAZY).close())
			.havingRootCause()
			.isInstanceOf(InvalidInputException.class);
		assertThat(output.toString()).containsSubsequence("APPLICATION FAILED TO START",
				"calm.http.api-keys are not set, and other machines reach the service at ",
				"Set at least one key, or bind the server to this machine with server.address=127.0.0.1.");
	}

	@Test
	void aKeyThatCanBeGuessed(CapturedOutput output) {
		assertThatExceptionOfType(Exception.class)
			.isThrownBy(() -> RunningService.start(this.type, "--calm.http.api-keys=secret1", LAZY).close())
			.havingRootCause()
			.isInstanceOf(InvalidInputException.class);
		assertThat(output.toString()).contains("calm.http.api-keys: one of them is shorter than 16 characters")
			.doesNotContain("secret1");
	}

	@Test
	void noTimeForABody(CapturedOutput output) {
		assertThatExceptionOfType(Exception.class)
			.isThrownBy(() -> RunningService.start(this.type, "--calm.http.body-timeout=0s", LAZY).close())
			.havingRootCause()
			.isInstanceOf(InvalidInputException.class);
		assertThat(output.toString()).contains("calm.http.body-timeout is 0 ms");
	}

	@ParameterizedTest
	@CsvSource({ "localhost, 200", "LOCALHOST:1234, 200", "127.0.0.1, 200", "[::1]:80, 200", "evil.example, 403",
			"evil.example:8080, 403", "localhost.evil.example, 403", "127.0.0.1.evil.example, 403" })
	void calledByAnotherName(String host, int status) throws IOException {
		String answer = raw(open, "GET /v1/models HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n");
		assertThat(answer).startsWith("HTTP/1.1 " + status);
		if (status != 200) {
			assertThat(answer).contains("host_not_allowed").doesNotContain("tiny");
		}
	}

	@Test
	void calledByTheNameOfItsProxy() throws IOException {
		try (RunningService behind = RunningService.start(this.type, "--calm.http.hosts=models.example", LAZY)) {
			String request = "GET /v1/models HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n";
			assertThat(raw(behind, request.formatted("models.example"))).startsWith("HTTP/1.1 200");
			assertThat(raw(behind, request.formatted("evil.example"))).startsWith("HTTP/1.1 403");
		}
	}

	private static String raw(RunningService service, String request) throws IOException {
		try (Socket socket = service.connect()) {
			socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
			socket.getOutputStream().flush();
			return new String(socket.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
		}
	}

	/** A page of another site asks first whether it may. */
	@Test
	void askedByAPageOfAnotherSite() {
		HttpResponse<String> preflight = RunningService.send(open.request("/v1/completions")
			.method("OPTIONS", HttpRequest.BodyPublishers.noBody())
			.header("Origin", "https://evil.example")
			.header("Access-Control-Request-Method", "POST"));
		if (this.type == WebApplicationType.REACTIVE) {
			// WebFlux answers before the service, and allows nothing
			assertThat(preflight.headers().map().keySet()).noneMatch((name) -> name.startsWith("access-control-"));
			return;
		}
		assertRefused(preflight, 405, "method_not_allowed");
		assertThat(preflight.headers().firstValue("Allow")).hasValue("POST");
	}

	@ParameterizedTest
	@ValueSource(strings = { "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x" })
	void sentByAFormOfAnotherSite(String type) {
		HttpResponse<String> response = RunningService.send(open.request("/v1/completions")
			.header("Content-Type", type)
			.POST(HttpRequest.BodyPublishers.ofString("{\"prompt\":\"One\"}")));
		assertRefused(response, 415, "unsupported_media_type");
	}

	@Test
	void aBodyOf100Megabytes() throws IOException {
		try (Socket socket = open.connect()) {
			socket.getOutputStream()
				.write(("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
						+ "Content-Length: " + (100 << 20) + "\r\n\r\n")
					.getBytes(StandardCharsets.US_ASCII));
			socket.getOutputStream().flush();
			// the answer comes before the body
			assertThat(firstLine(socket)).startsWith("HTTP/1.1 413");
		}
	}

	@Test
	void aBodyThatDoesNotSayItsLength() throws IOException {
		try (Socket socket = open.connect()) {
			OutputStream out = socket.getOutputStream();
			out.write(("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
					+ "Transfer-Encoding: chunked\r\n\r\n")
				.getBytes(StandardCharsets.US_ASCII));
			out.flush();
			assertThat(firstLine(socket)).startsWith("HTTP/1.1 411");
			byte[] part = ("10000\r\n" + " ".repeat(0x10000) + "\r\n").getBytes(StandardCharsets.US_ASCII);
			assertThatExceptionOfType(SocketException.class).isThrownBy(() -> {
				for (int i = 0; i < 10_000; i++) {
					out.write(part);
				}
			});
		}
	}

	private static String firstLine(Socket socket) throws IOException {
		return new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8)).readLine();
	}

	@Test
	void jsonThatIsNestedDeeply() {
		String deep = "[".repeat(100_000);
		assertThat(
				assertRefused(open.post("/v1/completions", "{\"prompt\":" + deep), 400, "invalid_json").path("message")
					.stringValue())
			.contains("nested deeper than 32 levels");
	}

	@Test
	void tenThousandStopStrings() {
		String stops = "\"a\",".repeat(9_999) + "\"a\"";
		assertThat(assertRefused(open.post("/v1/completions", "{\"prompt\":\"One\",\"stop\":[" + stops + "]}"), 400,
				"invalid_value")
			.path("message")
			.stringValue()).isEqualTo("stop has 10000 entries; send at most 16");
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', quoteCharacter = '\0',
			textBlock = """
					{"prompt":1}                              | prompt           | prompt is not a string or an array of strings
					{"prompt":["a",1]}                        | prompt           | prompt is not a string or an array of strings
					{"prompt":[1,2]}                          | prompt           | prompt is an array of numbers; send text, not tokens
					{"prompt":[]}                             | prompt           | prompt is an empty array; send at least one string
					{"max_tokens":0}                          | max_tokens       | max new tokens is 0; choose a positive number
					{"max_tokens":1.5}                        | max_tokens       | max_tokens is not a whole number of 32 bits
					{"max_tokens":1e999999999}                | max_tokens       | max_tokens is not a whole number of 32 bits
					{"max_tokens":9999999999}                 | max_tokens       | max_tokens is not a whole number of 32 bits
					{"temperature":3}                         | temperature      | temperature is 3.0; choose a number greater than 0
					{"temperature":0}                         | temperature      | temperature is 0.0; choose a value above 0 and up to 1
					{"temperature":"hot"}                     | temperature      | temperature is not a number
					{"top_p":0.5}                             | top_p            | top-p is 0.5, and a CALM model knows no probabilities
					{"top_p":2}                               | top_p            | top-p is 2.0; choose a number greater than 0
					{"candidates":10001}                      | candidates       | candidates is 10001; choose from 1 to 10000
					{"exact":"yes"}                           | exact            | exact is not true or false
					{"n":0}                                   | n                | n is 0; choose at least 1
					{"n":17}                                  | n                | n is 17; choose at least 1, and at most 16
					{"prompt":["a","b","c"],"n":6}            | n                | n is 6; choose at least 1, and at most 16
					{"seed":99999999999999999999}             | seed             | seed is not a whole number of 64 bits
					{"stop":[""]}                             | stop             | stop strings: one of them is empty; leave it out
					{"stop":7}                                | stop             | stop is not a string or an array of strings
					{"stream":1}                              | stream           | stream is not true or false
					{"stream_options":{"other":1}}            | stream_options.other | stream_options.other is not supported
					{"user":7}                                | user             | user is not a string
					{"logprobs":5}                            | logprobs         | logprobs is not supported: the model draws patches
					{"logit_bias":{"50256":-100}}             | logit_bias       | logit_bias is not supported: the model draws patches
					{"best_of":3}                             | best_of          | best_of is not supported: the model draws patches
					{"frequency_penalty":0.5}                 | frequency_penalty | frequency_penalty is not supported
					{"echo":true}                             | echo             | echo is not supported: put the prompt before
					{"suffix":"end"}                          | suffix           | suffix is not supported: the model writes forwards
					{"messages":[]}                           | messages         | messages is not supported: this service does not know
					{"tempreature":0.5}                       | tempreature      | tempreature is not supported: this service does not
					""")
	void aCompletionThatCannotBeHad(String json, String field, String message) {
		assertField(open.post("/v1/completions", json), field, message);
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', quoteCharacter = '\0',
			textBlock = """
					{}                                                                       | messages            | messages is missing or empty
					{"messages":"hello"}                                                     | messages            | messages is not an array
					{"messages":["hello"]}                                                   | messages            | messages is not an array of objects
					{"messages":[{"content":"a"}]}                                           | messages[0].role    | messages[0].role is not system
					{"messages":[{"role":"tool","content":"a"}]}                             | messages[0].role    | messages[0].role is not system
					{"messages":[{"role":"user","content":7}]}                               | messages[0].content | messages[0].content is not a string
					{"messages":[{"role":"user","content":[{"type":"image_url"}]}]}          | messages[0].content[0].type | messages[0].content[0].type is not text
					{"messages":[{"role":"user","content":"a"}],"tools":[{"type":"function"}]} | tools             | tools is not supported: the model calls no tools
					{"messages":[{"role":"user","content":"a"}],"tool_choice":"required"}    | tool_choice         | tool_choice is not supported
					{"messages":[{"role":"user","content":"a"}],"logprobs":true}             | logprobs            | logprobs is not supported
					{"messages":[{"role":"user","content":"a"}],"response_format":{"type":"json_object"}} | response_format | response_format is not supported: the model writes plain text
					{"messages":[{"role":"user","content":"a"}],"prompt":"a"}                | prompt              | prompt is not supported
					""")
	void aChatThatCannotBeHad(String json, String field, String message) {
		assertField(open.post("/v1/chat/completions", json), field, message);
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', quoteCharacter = '\0',
			textBlock = """
					{}                                     | input           | input is missing or an empty array
					{"input":[]}                           | input           | input is missing or an empty array
					{"input":""}                           | input           | input has an empty string; leave it out
					{"input":["One",""]}                   | input           | input has an empty string; leave it out
					{"input":7}                            | input           | input is not a string or an array of strings
					{"input":["One",7]}                    | input           | input is not a string or an array of strings
					{"input":[1,2]}                        | input           | input is an array of numbers; send text, not tokens
					{"input":[[1,2],[3]]}                  | input           | input is an array of numbers; send text, not tokens
					{"input":"One","dimensions":256}       | dimensions      | dimensions is not supported: the vectors are as long as
					{"input":"One","encoding_format":"int8"} | encoding_format | encoding_format is not float or base64
					{"input":"One","user":7}               | user            | user is not a string
					{"input":"One","prompt":"Two"}         | prompt          | prompt is not supported
					""")
	void vectorsThatCannotBeHad(String json, String field, String message) {
		assertField(open.post("/v1/embeddings", json), field, message);
	}

	@Test
	void vectorsOfTooMuchText() {
		assertField(open.post("/v1/embeddings", "{\"input\":[" + "\"a\",".repeat(2048) + "\"a\"]}"), "input",
				"input has 2049 entries; send at most 2048");
		JsonNode error = assertRefused(open.post("/v1/embeddings", "{\"input\":[\"a\",\"" + "a".repeat(8193) + "\"]}"),
				400, "context_length_exceeded");
		assertThat(error.path("message").stringValue()).isEqualTo("input[1] is 8193 tokens long; send at most 8192");
		assertRefused(open.post("/v1/embeddings", "{\"model\":\"gpt-5\",\"input\":\"One\"}"), 404, "model_not_found");
		assertRefused(open.get("/v1/embeddings"), 405, "method_not_allowed");
	}

	/** One is encoded, one waits. */
	@Test
	void whereTooManyTextsWaitForTheirVectors() throws Exception {
		String most = "{\"input\":[" + ("\"" + "a".repeat(8000) + "\",").repeat(10) + "\"a\"]}";
		ExecutorService clients = Executors.newFixedThreadPool(4);
		List<HttpResponse<String>> answers = new ArrayList<>();
		try {
			Callable<HttpResponse<String>> client = () -> open.post("/v1/embeddings", most);
			for (Future<HttpResponse<String>> each : clients.invokeAll(Collections.nCopies(4, client))) {
				answers.add(each.get());
			}
		}
		finally {
			clients.shutdown();
		}
		assertThat(answers).filteredOn((answer) -> answer.statusCode() == 200).hasSizeBetween(1, 2);
		assertThat(answers).filteredOn((answer) -> answer.statusCode() != 200)
			.allSatisfy((answer) -> assertRefused(answer, 429, "queue_full"));
		assertThat(open.post("/v1/embeddings", "{\"input\":\"a\"}").statusCode()).isEqualTo(200);
	}

	private static void assertField(HttpResponse<String> response, String field, String message) {
		assertThat(response.statusCode()).as(response.body()).isEqualTo(400);
		JsonNode error = RunningService.json(response).path("error");
		assertThat(error.path("type").stringValue()).isEqualTo("invalid_request_error");
		assertThat(error.path("param").stringValue()).isEqualTo(field);
		assertThat(error.path("message").stringValue()).startsWith(message);
	}

	@ParameterizedTest
	@ValueSource(strings = { "", "[]", "7", "{", "{\"prompt\":\"a\"} {}", "{\"prompt\":\"a\",\"prompt\":\"b\"}",
			"{'prompt':'a'}", "{\"prompt\":\"\u0001\"}" })
	void whatIsNoJsonObject(String body) {
		assertRefused(open.post("/v1/completions", body), 400, "invalid_json");
	}

	@Test
	void anUnknownModel() {
		JsonNode error = assertRefused(open.post("/v1/completions", "{\"model\":\"gpt-5\",\"prompt\":\"One\"}"), 404,
				"model_not_found");
		assertThat(error.path("message").stringValue()).isEqualTo("there is no such model here; the model is tiny");
	}

	@Test
	void anUnknownPath() {
		assertRefused(open.get("/v1/engines"), 404, "unknown_url");
		assertRefused(open.get("/v1/completions"), 405, "method_not_allowed");
	}

	@ParameterizedTest
	@ValueSource(strings = { "false", "true" })
	void tooLongAPrompt(String stream) {
		JsonNode error = assertRefused(
				open.post("/v1/completions", "{\"prompt\":\"" + "a".repeat(8200) + "\",\"stream\":" + stream + "}"),
				400, "context_length_exceeded");
		assertThat(error.path("message").stringValue()).startsWith("prompt is 8201 tokens long")
			.contains("where the context is 8192");
		assertThat(error.path("param").stringValue()).isEqualTo("prompt");
		String chat = "{\"messages\":[{\"role\":\"user\",\"content\":\"" + "a".repeat(8200) + "\"}]}";
		assertThat(assertRefused(open.post("/v1/chat/completions", chat), 400, "context_length_exceeded").path("param")
			.stringValue()).isEqualTo("messages");
	}

	@ParameterizedTest
	@ValueSource(strings = { "{\"prompt\":\"One\"}", "{\"prompt\":\"One\",\"stream\":true}" })
	void whereTooManyWait(String json) {
		TextGenerator generator = open.bean(TextGenerator.class);
		NoReader active = generator.stream("One", (options) -> options.maxNewTokens(10_000))
			.subscribeWith(new NoReader());
		await().until(() -> open.active() == 1);
		NoReader waiting = generator.stream("One").subscribeWith(new NoReader());
		await().until(() -> open.waiting() == 1);
		try {
			HttpResponse<String> response = open.post("/v1/completions", json);
			assertRefused(response, 429, "queue_full");
			assertThat(response.headers().firstValue("Retry-After")).hasValue("1");
		}
		finally {
			active.cancel();
			waiting.cancel();
		}
		await().until(() -> open.active() == 0);
		// of several texts, one has a place: the others take it with them
		assertRefused(open.post("/v1/completions", "{\"prompt\":\"One\",\"n\":9}"), 429, "queue_full");
		await().until(() -> open.active() == 0 && open.waiting() == 0);
	}

	@Test
	void whileTheModelGoesDown() throws IOException {
		RunningService ending = RunningService.start(this.type);
		try (ending;
				Socket socket = ending.connect("/v1/completions",
						"{\"prompt\":\"One\",\"stream\":true,\"max_tokens\":100000,\"candidates\":10000}")) {
			BufferedReader reader = new BufferedReader(
					new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
			assertThat(reader.readLine()).startsWith("HTTP/1.1 200");
			ending.model().close();
			List<String> data = reader.lines()
				.takeWhile((line) -> !line.equals("0"))
				.filter((line) -> line.startsWith("data:"))
				.collect(Collectors.toList());
			assertThat(data.get(data.size() - 1)).startsWith("data: {\"error\":{")
				.contains("\"code\":\"model_unavailable\"");
			assertThat(data).doesNotContain("data: [DONE]");
			assertRefused(ending.post("/v1/completions", "{\"prompt\":\"One\"}"), 503, "model_unavailable");
		}
	}

	/** Takes no chunk, so that a text stays in its slot. */
	private static final class NoReader extends BaseSubscriber<Chunk> {

		@Override
		protected void hookOnSubscribe(Subscription subscription) {
			// asks for nothing
		}

	}

}

package io.calm.examples.pipeline;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import io.calm.examples.pipeline.RunningPipeline.Event;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import tools.jackson.databind.JsonNode;

import org.springframework.kafka.core.KafkaTemplate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.awaitility.Awaitility.await;

/**
 * Products to stories, and what the page asks of the application; with real models and a
 * real broker.
 */
@Timeout(value = 120, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
class PipelineTests {

	/** So slow that there is time to cancel it: a thousand draws for each patch. */
	private static final String LONG = "{\"prompt\": \"One fish. \", \"candidates\": 1000, \"temperature\": 1,"
			+ " \"maxNewTokens\": 1900}";

	/** The product of another test. */
	private static final String REFUSED = "long-1";

	/** The beginning of those of a further test. */
	private static final String AFTER_LARGE = "after-large-";

	private final RunningPipeline pipeline = RunningPipeline.withTwoModels();

	@Test
	void everyProductBecomesAStory() {
		Map<String, JsonNode> stories = new TreeMap<>();
		try (Stream<Event> events = this.pipeline.events("GET", "/stories", "")) {
			Iterator<Event> arriving = events.iterator();
			while (stories.size() < 12) {
				JsonNode story = arriving.next().data();
				String sku = story.at("/product/sku").asString();
				if (!sku.equals(REFUSED) && !sku.startsWith(AFTER_LARGE)) {
					stories.put(story.at("/product/sku").asString(), story);
				}
			}
		}
		assertThat(stories.values()).allSatisfy((story) -> {
			assertThat(story.at("/model").asString()).isEqualTo("k4");
			assertThat(story.at("/finishReason").asString()).isIn("LENGTH", "END");
			assertThat(story.at("/tokens").asInt()).isBetween(0, 120);
			assertThat(story.at("/product/description").asString()).isNotBlank();
		});
		assertThat(stories.values()).anySatisfy((story) -> {
			assertThat(story.at("/text").asString()).isNotEmpty();
			assertThat(story.at("/tokens").asInt()).isPositive();
		});
	}

	@Test
	@SuppressWarnings("unchecked")
	void whatIsNoProductIsSkippedAndAServiceThatRefusesOneIsRecorded() throws Exception {
		KafkaTemplate<String, String> kafka = this.pipeline.bean(KafkaTemplate.class);
		String tooLong = "One fish. ".repeat(1000);
		String refused = "{\"sku\": \"" + REFUSED + "\", \"name\": \"Long\", \"description\": \"" + tooLong + "\"}";
		for (String value : Arrays.asList("{", "null", "[]", "{\"sku\": \"1\"}", null, refused)) {
			kafka.send("pipeline.products", 0, "key", value).get();
		}
		try (Stream<Event> events = this.pipeline.events("GET", "/stories", "")) {
			JsonNode story = events.map(Event::data)
				.filter((each) -> each.at("/product/sku").asString().equals(REFUSED))
				.findFirst()
				.orElseThrow();
			assertThat(story.at("/finishReason").asString()).isEqualTo("LIMIT_EXCEEDED");
			assertThat(story.at("/text").asString()).isEmpty();
		}
	}

	@Test
	@SuppressWarnings("unchecked")
	void aProductThatFitsIntoNoStoryDoesNotStopItsPartition() throws Exception {
		KafkaTemplate<String, String> kafka = this.pipeline.bean(KafkaTemplate.class);
		for (int partition : new int[] { 0, 1 }) {
			String last = AFTER_LARGE + partition;
			kafka
				.send("pipeline.products", partition, "key",
						"{\"sku\": \"large\", \"name\": \"Large\", \"description\": \"" + "x".repeat(1_048_000) + "\"}")
				.get();
			kafka
				.send("pipeline.products", partition, "key",
						"{\"sku\": \"" + last + "\", \"name\": \"Next\", \"description\": \"One fish.\"}")
				.get();
			try (Stream<Event> events = this.pipeline.events("GET", "/stories", "")) {
				assertThat(events.map((each) -> each.data().at("/product/sku").asString())
					.anyMatch((sku) -> sku.equals(last))).isTrue();
			}
		}
	}

	@Test
	void otherSitesReachNothing() throws Exception {
		int port = URI.create(this.pipeline.url("/")).getPort();
		for (String host : List.of("evil.example", "evil.example:" + port, "localhost.evil.example", "127.0.0.2")) {
			assertThat(statusOf(port, "GET /state HTTP/1.1\r\nHost: " + host)).as(host).isEqualTo(403);
		}
		for (String host : List.of("localhost:" + port, "127.0.0.1:" + port, "[::1]:" + port, "LOCALHOST")) {
			assertThat(statusOf(port, "GET /state HTTP/1.1\r\nHost: " + host)).as(host).isEqualTo(200);
		}
		for (String site : List.of("cross-site", "same-site")) {
			assertThat(statusOf(port, "DELETE /texts/1 HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: " + site))
				.as(site)
				.isEqualTo(403);
		}
		assertThat(statusOf(port, "DELETE /texts/1 HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Site: same-origin"))
			.isEqualTo(200);
	}

	/** 127.0.0.2 is this machine, too, but not where they listen. */
	@Test
	void pageAndBrokerAreForThisMachineOnly() {
		String broker = this.pipeline.property("spring.kafka.bootstrap-servers");
		for (int port : new int[] { URI.create(this.pipeline.url("/")).getPort(),
				Integer.parseInt(broker.substring(broker.lastIndexOf(':') + 1)) }) {
			assertThatCode(() -> new Socket("127.0.0.1", port).close()).doesNotThrowAnyException();
			assertThatExceptionOfType(ConnectException.class).isThrownBy(() -> new Socket("127.0.0.2", port).close());
		}
	}

	@Test
	void aFormIsBounded() throws Exception {
		int port = URI.create(this.pipeline.url("/")).getPort();
		String post = "POST /texts HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n";
		assertThat(statusOf(port, post + "Content-Length: 2000000")).isEqualTo(413);
		assertThat(statusOf(port, post + "Transfer-Encoding: chunked")).isEqualTo(411);
	}

	/** Of a request that Java's client does not send: with another host, or no body. */
	private static int statusOf(int port, String request) throws IOException {
		try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), port)) {
			socket.getOutputStream()
				.write((request + "\r\nConnection: close\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
			BufferedReader answer = new BufferedReader(
					new InputStreamReader(socket.getInputStream(), StandardCharsets.US_ASCII));
			return Integer.parseInt(answer.readLine().split(" ")[1]);
		}
	}

	@Test
	void aTextComesPatchByPatch() {
		List<Event> events = this.pipeline
			.write("{\"model\": \"k4\", \"prompt\": \"One fish. \", \"temperature\": 1, \"maxNewTokens\": 30}");

		assertThat(events.get(0).name()).isEqualTo("begun");
		assertThat(events.get(0).data().at("/model").asString()).isEqualTo("k4");
		List<JsonNode> patches = patches(events);
		assertThat(patches).extracting((each) -> each.at("/seq").asInt())
			.isEqualTo(IntStream.range(0, patches.size()).boxed().toList());
		assertThat(patches).allSatisfy((each) -> assertThat(each.at("/tokens").asInt()).isLessThanOrEqualTo(4));
		JsonNode end = end(events);
		assertThat(end.at("/status").asString()).isEqualTo("COMPLETED");
		assertThat(end.at("/finishReason").asString()).isIn("LENGTH", "END");
		assertThat(end.at("/promptTokens").asInt()).isEqualTo(10);
		assertThat(end.at("/completionTokens").asInt()).isEqualTo(tokens(patches)).isLessThanOrEqualTo(30);
	}

	@Test
	void theOtherModelHasTopicsAndPatchesOfItsOwn() {
		List<Event> events = this.pipeline
			.write("{\"model\": \"k8\", \"prompt\": \"One fish. \", \"exact\": true, \"temperature\": 1,"
					+ " \"maxNewTokens\": 64}");
		assertThat(events.get(0).data().at("/model").asString()).isEqualTo("k8");
		assertThat(patches(events)).extracting((each) -> each.at("/tokens").asInt()).contains(8);
		assertThat(end(events).at("/status").asString()).isEqualTo("COMPLETED");

		JsonNode models = this.pipeline.state().at("/models");
		assertThat(models.valueStream().map((each) -> each.at("/model").asString())).containsExactly("k4", "k8");
		assertThat(models.valueStream().map((each) -> each.at("/requests").asString()))
			.containsExactly("calm.requests.k4", "calm.requests.k8");
		assertThat(models.valueStream().map((each) -> each.at("/patchSize").asInt())).containsExactly(4, 8);
		assertThat(models.valueStream()).allSatisfy((each) -> {
			assertThat(each.at("/head").asString()).isEqualTo("energy");
			assertThat(each.at("/slots").asInt()).isEqualTo(4);
			assertThat(each.at("/takesRequests").asBoolean()).isTrue();
		});
	}

	@Test
	void aCancelledTextSaysSo() {
		try (Stream<Event> events = this.pipeline.events("POST", "/texts", LONG)) {
			Iterator<Event> arriving = events.iterator();
			String id = arriving.next().data().at("/id").asString();
			assertThat(arriving.next().name()).isEqualTo("chunk");
			assertThat(this.pipeline.send("DELETE", "/texts/" + id, "").statusCode()).isEqualTo(200);
			JsonNode end = Stream.generate(arriving::next)
				.filter((each) -> each.name().equals("end"))
				.findFirst()
				.orElseThrow()
				.data();
			assertThat(end.at("/status").asString()).isEqualTo("CANCELLED");
			assertThat(end.at("/finishReason").asString()).isEqualTo("CANCELLED");
			assertThat(end.at("/completionTokens").asInt()).isLessThan(1900);
			assertThat(arriving.hasNext()).isFalse();
		}
	}

	@Test
	void whoGoesAwayEndsTheGeneration() {
		String form = LONG.replace("{", "{\"model\": \"k8\", ");
		try (Stream<Event> events = this.pipeline.events("POST", "/texts", form)) {
			Iterator<Event> arriving = events.iterator();
			arriving.next();
			assertThat(arriving.next().name()).isEqualTo("chunk");
			assertThat(this.pipeline.state().at("/models/1/slotsInUse").asInt()).isEqualTo(1);
		}
		await().atMost(Duration.ofSeconds(20))
			.untilAsserted(() -> assertThat(this.pipeline.state().at("/models/1/slotsInUse").asInt()).isZero());
	}

	@Test
	void aRefusalIsToldInPlainWords() {
		assertThat(failure("{\"prompt\": \"a\", \"temperature\": 2}"))
			.isEqualTo("The service refused the request: the temperature is 2.0; choose one in (0, 1].");
		assertThat(failure("{\"prompt\": \"a\", \"candidates\": 5000}"))
			.isEqualTo("The service refused the request: 5000 candidates are more than 1000, the most here.");
		assertThat(failure("{\"prompt\": \"" + "One fish. ".repeat(1000) + "\"}"))
			.startsWith("The service refused the request: ")
			.doesNotContain("One fish");
		assertThat(failure("{\"prompt\": \"a\", \"model\": \"k16\"}"))
			.isEqualTo("model has no such name; choose one of [k4, k8].");
		assertThat(this.pipeline.send("POST", "/texts", "{\"candidates\": \"many\"}").statusCode()).isEqualTo(400);
		assertThat(this.pipeline.send("DELETE", "/texts/1?model=k16", "").statusCode()).isEqualTo(400);
	}

	@Test
	void aServiceThatIsAwayIsToldInPlainWords() {
		try (RunningPipeline other = RunningPipeline.onTheSameBroker("--calm.pipeline.products=away.products",
				"--calm.pipeline.stories=away.stories", "--calm.streaming.client.timeout=2s")) {
			assertThat(end(other.write("{\"prompt\": \"One fish. \", \"maxNewTokens\": 8}")).at("/status").asString())
				.isEqualTo("COMPLETED");
			assertThat(other.state().at("/models/0/requests").asString()).isEqualTo("calm.requests");
			assertThat(other.state().at("/ownBroker").asBoolean()).isFalse();

			other.bean(ModelServices.class).first().context().stop();

			assertThat(failure(other.write("{\"prompt\": \"One fish. \"}")))
				.isEqualTo("The service has not answered in time. It may be away, or have too much to do.");
			assertThat(other.state().at("/models/0/takesRequests").asBoolean()).isFalse();
		}
	}

	@Test
	void thePageMayRunItsOwnScriptOnly() {
		HttpResponse<Stream<String>> page = this.pipeline.send("GET", "/", "");
		assertThat(page.headers().firstValue("Content-Security-Policy"))
			.hasValueSatisfying((policy) -> assertThat(policy).contains("default-src 'none'", "script-src 'self'")
				.doesNotContain("unsafe"));
		assertThat(page.headers().firstValue("X-Content-Type-Options")).hasValue("nosniff");
		assertThat(page.body().collect(Collectors.joining())).doesNotContain("http://", "https://", "onclick",
				"style=");
	}

	private String failure(String form) {
		return failure(this.pipeline.write(form));
	}

	private static String failure(List<Event> events) {
		Event last = events.get(events.size() - 1);
		assertThat(last.name()).isEqualTo("failure");
		return last.data().at("/message").asString();
	}

	private static JsonNode end(List<Event> events) {
		Event last = events.get(events.size() - 1);
		assertThat(last.name()).isEqualTo("end");
		return last.data();
	}

	private static List<JsonNode> patches(List<Event> events) {
		return events.stream().filter((each) -> each.name().equals("chunk")).map(Event::data).toList();
	}

	private static int tokens(List<JsonNode> patches) {
		return patches.stream().mapToInt((each) -> each.at("/tokens").asInt()).sum();
	}

	@Test
	@Timeout(value = 900, threadMode = Timeout.ThreadMode.SEPARATE_THREAD)
	void aTrainingThatTheEndInterruptsGoesOn(@TempDir Path directory) {
		try (RunningPipeline first = RunningPipeline.withoutAModel(directory)) {
			await().atMost(Duration.ofMinutes(5)).until(() -> first.state().at("/training/step").asLong() > 0);
			List<Event> refused = first.write("{\"prompt\": \"One day,\"}");
			assertThat(refused).extracting(Event::name).containsExactly("failure");
			assertThat(refused.get(0).data().at("/message").asString()).contains("is still being trained");
		}
		assertThat(directory.resolve("pipeline-model")).doesNotExist();
		assertThat(directory.resolve("pipeline-model.training")).isDirectory();
		try (RunningPipeline second = RunningPipeline.withoutAModel(directory)) {
			await().atMost(Duration.ofMinutes(5)).until(() -> !second.state().at("/models").isEmpty());
			assertThat(second.state().at("/training/scores/brier_lm").isNumber()).isTrue();
		}
		assertThat(directory.resolve("pipeline-model.training")).doesNotExist();
		try (RunningPipeline third = RunningPipeline.withoutAModel(directory)) {
			assertThat(third.state().at("/training").isNull()).isTrue();
			assertThat(third.state().at("/models/0/model").asString()).isEqualTo("pipeline-model");
		}
	}

}

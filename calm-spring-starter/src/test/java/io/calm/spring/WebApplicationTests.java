package io.calm.spring;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.generation.Chunk;
import io.calm.generation.GenerationEngine;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import reactor.core.publisher.Flux;

import org.springframework.ai.chat.client.ChatClient;
import org.springframework.ai.chat.model.ChatModel;
import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.boot.test.context.SpringBootTest.WebEnvironment;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.boot.test.web.server.LocalServerPort;
import org.springframework.context.annotation.Bean;
import org.springframework.http.MediaType;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * An application with a web server, as a user would write it.
 */
@ExtendWith(OutputCaptureExtension.class)
@SpringBootTest(webEnvironment = WebEnvironment.RANDOM_PORT,
		properties = { "calm.engine.context=2048", "calm.engine.buffer=1", "calm.generation.candidates=2",
				"calm.generation.max-new-tokens=40", "management.endpoints.web.exposure.include=*",
				"management.endpoint.health.show-details=always", "management.endpoint.health.probes.enabled=true",
				"logging.level.io.calm=trace" })
class WebApplicationTests {

	/** More than the context of 2048 patches holds. */
	private static final int ENDLESS = 100_000;

	private final HttpClient client = HttpClient.newHttpClient();

	@LocalServerPort
	private int port;

	@Autowired
	private ServedModel model = notInjected();

	@Autowired
	private ChatModel chatModel = notInjected();

	@Autowired
	private SeenGenerations seen = notInjected();

	@SuppressWarnings({ "NullAway", "TypeParameterUnusedInFormals" })
	private static <T> T notInjected() {
		return null;
	}

	@DynamicPropertySource
	static void location(DynamicPropertyRegistry properties) {
		properties.add("calm.model.location", () -> "file:" + TinyModel.directory());
	}

	@BeforeEach
	void forget() {
		this.seen.ended().clear();
	}

	private <T> HttpResponse<T> get(String path, HttpResponse.BodyHandler<T> body)
			throws IOException, InterruptedException {
		HttpRequest request = HttpRequest.newBuilder(URI.create("http://localhost:" + this.port + path)).build();
		return this.client.send(request, body);
	}

	private String get(String path) throws IOException, InterruptedException {
		HttpResponse<String> response = get(path, BodyHandlers.ofString());
		assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
		return response.body();
	}

	@Test
	void generates() throws Exception {
		assertThat(get("/generate?prompt=Two")).isNotEmpty();
	}

	@Test
	void streamsToTheEnd() throws Exception {
		assertThat(get("/stream?prompt=Two&tokens=40").lines().filter((line) -> line.startsWith("data:"))).hasSize(10);
	}

	@Test
	void clientThatGoesAwayEndsTheGeneration() throws Exception {
		HttpResponse<InputStream> response = get("/endless?prompt=Two", BodyHandlers.ofInputStream());
		try (BufferedReader lines = new BufferedReader(
				new InputStreamReader(response.body(), StandardCharsets.UTF_8))) {
			assertThat(lines.readLine()).startsWith("data:");
		}
		await().until(() -> this.seen.ended().stream().anyMatch(GenerationObservationContext::cancelled));
		await().until(() -> Objects.requireNonNull(this.model.status().engine()).active() == 0);
	}

	@Test
	void health() throws Exception {
		JsonObject health = JsonParser.parseString(get("/actuator/health")).getAsJsonObject();
		JsonObject calm = health.getAsJsonObject("components").getAsJsonObject("calm");
		assertThat(calm.get("status").getAsString()).isEqualTo("UP");
		JsonObject details = calm.getAsJsonObject("details");
		assertThat(details.get("model").getAsString()).isEqualTo("tiny");
		assertThat(details.get("patchSize").getAsInt()).isEqualTo(TinyModel.PATCH_SIZE);
		assertThat(details.get("device").getAsString()).isIn("CPU", "GPU");
		assertThat(details.get("slots").getAsInt()).isEqualTo(4);
		assertThat(details.get("slotsInUse").getAsInt()).isZero();
		assertThat(details.has("lastError")).isFalse();
		assertThat(get("/actuator/health/readiness")).contains("UP");
	}

	@Test
	void info() throws Exception {
		JsonObject calm = JsonParser.parseString(get("/actuator/info")).getAsJsonObject().getAsJsonObject("calm");
		assertThat(calm.get("model").getAsString()).isEqualTo("tiny");
		assertThat(calm.get("patchSize").getAsInt()).isEqualTo(TinyModel.PATCH_SIZE);
	}

	@Test
	void reloadsOnDemand() throws Exception {
		String usable = "{\"name\":\"tiny\",\"version\":null,\"state\":\"USABLE\",\"draining\":";
		assertThat(get("/actuator/calm")).startsWith(usable);
		GenerationEngine before = this.model.engine();
		HttpRequest reload = HttpRequest.newBuilder(URI.create("http://localhost:" + this.port + "/actuator/calm"))
			.POST(HttpRequest.BodyPublishers.noBody())
			.build();
		assertThat(this.client.send(reload, BodyHandlers.ofString()).body()).startsWith(usable);
		assertThat(this.model.engine()).isNotSameAs(before);
	}

	@Test
	void metrics() throws Exception {
		get("/generate?prompt=Two");
		String metrics = get("/actuator/prometheus");
		String model = "gen_ai_operation_name=\"text_completion\",gen_ai_provider_name=\"calm\","
				+ "gen_ai_request_model=\"tiny\",gen_ai_response_model=\"tiny\"";
		assertThat(metrics).contains("gen_ai_client_operation_duration_seconds_count{error=\"none\"," + model)
			.contains("gen_ai_client_operation_duration_seconds_bucket{error=\"none\"," + model + ",le=\"81.92\"}")
			.contains("gen_ai_client_token_usage_bucket{" + model + ",gen_ai_token_type=\"output\",le=\"64.0\"}")
			.contains("gen_ai_server_request_duration_seconds_bucket{" + model + ",le=\"81.92\"}")
			.contains("gen_ai_server_time_to_first_token_seconds_bucket{" + model + ",le=\"0.001\"}")
			.contains("gen_ai_server_time_per_output_token_seconds_bucket{" + model + ",le=\"2.5\"}")
			.contains("gen_ai_client_operation_time_to_first_chunk_seconds_count{" + model + "}")
			.contains("gen_ai_client_operation_time_per_output_chunk_seconds_count{" + model + "}")
			.contains("calm_generation_queue_time_seconds_count{" + model + "}")
			.contains("calm_generation_speed_tokens_per_second_count{" + model + "}")
			.contains("calm_engine_slots_active 0.0")
			.contains("calm_engine_slots 4.0");
	}

	@Test
	void chatClientStreams() {
		List<String> texts = Objects.requireNonNull(ChatClient.create(this.chatModel)
			.prompt()
			.system("Be brief.")
			.user("Two")
			.stream()
			.content()
			.collectList()
			.block());
		assertThat(texts).hasSizeBetween(2, 10);
		assertThat(this.seen.ended()).singleElement()
			.satisfies((generation) -> assertThat(generation.inputTokens()).isEqualTo("Be brief.\nTwo".length()));
	}

	@Test
	void chatClientCancels() {
		assertThat(ChatClient.create(this.chatModel)
			.prompt("Two")
			.options(ChatOptions.builder().maxTokens(ENDLESS))
			.stream()
			.chatResponse()
			.take(2)
			.collectList()
			.block()).hasSize(2);
		await().until(() -> !this.seen.ended().isEmpty());
		assertThat(this.seen.ended()).singleElement()
			.satisfies((generation) -> assertThat(generation.cancelled()).isTrue());
	}

	@Test
	void promptsAreNotLogged(CapturedOutput output) throws Exception {
		get("/generate?prompt=verysecret");
		ChatClient.create(this.chatModel).prompt("verysecret").call().content();
		this.model.reload();
		assertThat(output.toString()).contains("Model tiny is usable").doesNotContain("verysecret");
	}

	@SpringBootConfiguration
	@EnableAutoConfiguration
	@RestController
	static class Application {

		private final TextGenerator generator;

		Application(TextGenerator generator) {
			this.generator = generator;
		}

		@Bean
		static SeenGenerations seenGenerations() {
			return new SeenGenerations();
		}

		@GetMapping("/generate")
		String generate(@RequestParam String prompt) {
			return this.generator.generate(prompt);
		}

		/** However slowly its reader goes away, it has not ended by then. */
		@GetMapping(path = "/endless", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
		Flux<String> endless(@RequestParam String prompt) {
			return stream(prompt, ENDLESS).repeat();
		}

		@GetMapping(path = "/stream", produces = MediaType.TEXT_EVENT_STREAM_VALUE)
		Flux<String> stream(@RequestParam String prompt, @RequestParam int tokens) {
			return this.generator.stream(prompt, (options) -> options.maxNewTokens(tokens)).map(Chunk::text);
		}

	}

}

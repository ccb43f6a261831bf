package io.calm.streaming.app;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.function.Consumer;

import io.calm.generation.Chunk;
import io.calm.generation.GenerationRequest;
import io.calm.spring.TextGenerator;
import io.calm.streaming.TestBroker;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;

import org.springframework.boot.SpringApplication;
import org.springframework.context.ConfigurableApplicationContext;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * What a probe of the jar sees.
 */
class ReadinessTests {

	private static ConfigurableApplicationContext start(String brokers, String... more) {
		SpringApplication application = StreamingGenerator.application();
		application.addInitializers((context) -> context.getBeanFactory().registerSingleton("nothing", new Nothing()));
		String prefix = TestBroker.prefix();
		String[] arguments = { "--server.port=0", "--spring.kafka.bootstrap-servers=" + brokers,
				"--calm.streaming.group=" + prefix, "--calm.streaming.topics.requests=" + prefix + ".requests",
				"--calm.streaming.topics.chunks=" + prefix + ".chunks",
				"--calm.streaming.topics.control=" + prefix + ".control",
				"--calm.streaming.topics.dead-letters=" + prefix + ".dead-letters",
				(more.length > 0) ? more[0] : "--calm.streaming.enabled=true" };
		return application.run(arguments);
	}

	private static int status(ConfigurableApplicationContext context, String probe) throws Exception {
		URI uri = URI.create("http://localhost:" + context.getEnvironment().getProperty("local.server.port")
				+ "/actuator/health/" + probe);
		return HttpClient.newHttpClient()
			.send(HttpRequest.newBuilder(uri).build(), HttpResponse.BodyHandlers.discarding())
			.statusCode();
	}

	@Test
	void serviceWithoutBrokersLivesAndIsNotReady() throws Exception {
		try (ConfigurableApplicationContext context = start("localhost:1")) {
			assertThat(status(context, "liveness")).isEqualTo(200);
			assertThat(status(context, "readiness")).isEqualTo(503);
		}
	}

	@Test
	void serviceThatTakesRequestsUpIsReady() {
		try (ConfigurableApplicationContext context = start(TestBroker.address())) {
			await().atMost(Duration.ofMinutes(2)).until(() -> status(context, "readiness") == 200);
		}
	}

	@Test
	void applicationThatOnlyAsksIsReady() throws Exception {
		try (ConfigurableApplicationContext context = start("localhost:1", "--calm.streaming.enabled=false")) {
			assertThat(status(context, "readiness")).isEqualTo(200);
		}
	}

	private static final class Nothing implements TextGenerator {

		@Override
		public Flux<Chunk> stream(String prompt, Consumer<GenerationRequest.Builder> options) {
			return Flux.never();
		}

		@Override
		public int countTokens(String text) {
			return 0;
		}

	}

}

package io.calm.streaming.service;

import java.util.List;
import java.util.Objects;
import java.util.stream.Collectors;

import io.calm.streaming.TestBroker;
import io.calm.streaming.TextChunk;
import io.calm.streaming.TinyModel;
import io.calm.streaming.client.CalmKafkaClient;
import org.junit.jupiter.api.Test;

import org.springframework.beans.factory.annotation.Autowired;
import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.test.context.SpringBootTest;
import org.springframework.test.annotation.DirtiesContext;
import org.springframework.test.context.DynamicPropertyRegistry;
import org.springframework.test.context.DynamicPropertySource;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * The whole line: a request over a broker to a real model, and its chunks back.
 */
@SpringBootTest(properties = { "calm.generation.candidates=2", "calm.generation.max-new-tokens=40",
		"logging.level.io.calm=debug" })
@DirtiesContext
class StreamingServiceTests {

	@Autowired
	private CalmKafkaClient client = notInjected();

	@SuppressWarnings({ "NullAway", "TypeParameterUnusedInFormals" })
	private static <T> T notInjected() {
		return null;
	}

	/** No system properties, which the tests after this one would see too. */
	@DynamicPropertySource
	static void modelAndBroker(DynamicPropertyRegistry properties) {
		properties.add("spring.kafka.bootstrap-servers", TestBroker::address);
		properties.add("calm.model.location", () -> "file:" + TinyModel.directory());
	}

	@Test
	void streams() {
		List<TextChunk> chunks = Objects.requireNonNull(
				this.client.stream("Two", (request) -> request.id("one").maxNewTokens(40)).collectList().block());
		assertThat(chunks).hasSize(10);
		assertThat(chunks).extracting(TextChunk::requestId).containsOnly("one");
		assertThat(chunks).extracting(TextChunk::seq).containsExactly(0, 1, 2, 3, 4, 5, 6, 7, 8, 9);
		assertThat(chunks.subList(0, 9)).allMatch((chunk) -> chunk.end() == null);
		assertThat(chunks.get(9).end()).isEqualTo(new TextChunk.End(TextChunk.Status.COMPLETED,
				TextChunk.FinishReason.LENGTH, null, new TextChunk.Usage(3, 40), 10));
		assertThat(chunks.stream().map(TextChunk::text).collect(Collectors.joining())).isNotEmpty();
	}

	@SpringBootConfiguration
	@EnableAutoConfiguration
	static class Application {

	}

}

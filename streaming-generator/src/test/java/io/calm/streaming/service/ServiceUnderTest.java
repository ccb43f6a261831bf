package io.calm.streaming.service;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;

import io.calm.spring.TextGenerator;
import io.calm.streaming.JsonMessageFormat;
import io.calm.streaming.TestBroker;
import io.calm.streaming.TextChunk;
import io.calm.streaming.TextRequest;
import io.calm.streaming.client.CalmKafkaClient;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;

import org.springframework.boot.SpringBootConfiguration;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.autoconfigure.EnableAutoConfiguration;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;

/**
 * A service with topics of its own, in this process, that a test feeds by hand.
 *
 * @param prefix of its topics, and its group
 * @param context the application
 * @param text what it says
 */
record ServiceUnderTest(String prefix, ConfigurableApplicationContext context,
		HandFedText text) implements AutoCloseable {

	static final JsonMessageFormat FORMAT = new JsonMessageFormat();

	static final String PROTOCOL_CONSUMER = "spring.kafka.consumer.properties.group.protocol=consumer";

	/** The first service on new topics. */
	static ServiceUnderTest start(int partitions, String... properties) {
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, partitions);
		return start(prefix, properties);
	}

	/** A service on topics that are there. */
	static ServiceUnderTest start(String prefix, String... properties) {
		return start(prefix, new HandFedText(), List.of(), properties);
	}

	/** A service with more beans. */
	static ServiceUnderTest start(String prefix, HandFedText text, List<?> beans, String... properties) {
		List<String> all = new ArrayList<>(List.of("spring.kafka.bootstrap-servers=" + TestBroker.address(),
				"calm.streaming.group=" + prefix, "calm.streaming.topics.requests=" + prefix + ".requests",
				"calm.streaming.topics.chunks=" + prefix + ".chunks",
				"calm.streaming.topics.control=" + prefix + ".control",
				"calm.streaming.topics.dead-letters=" + prefix + ".dead-letters", "calm.streaming.topics.create=false",
				"calm.streaming.shutdown-grace=100ms", "calm.engine.slots=4", "calm.streaming.ahead=0"));
		if (!List.of(properties).contains(PROTOCOL_CONSUMER)) {
			// there, the brokers say it
			all.add("spring.kafka.consumer.properties.heartbeat.interval.ms=200");
			all.add("spring.kafka.consumer.properties.session.timeout.ms=6000");
		}
		all.addAll(Arrays.asList(properties));
		SpringApplicationBuilder builder = new SpringApplicationBuilder(Application.class).web(WebApplicationType.NONE)
			.initializers((context) -> context.getBeanFactory().registerSingleton("handFedText", text));
		beans.forEach((bean) -> builder.initializers(
				(context) -> context.getBeanFactory().registerSingleton(bean.getClass().getSimpleName(), bean)));
		// the later of two wins
		return new ServiceUnderTest(prefix, builder.properties(all.toArray(String[]::new)).run(), text);
	}

	CalmKafkaClient client() {
		return this.context.getBean(CalmKafkaClient.class);
	}

	StreamingService service() {
		return this.context.getBean(StreamingService.class);
	}

	/** Sends a request and gathers what its reader gets. */
	CompletableFuture<List<TextChunk>> ask(String id, String prompt) {
		return client().stream(prompt, (request) -> request.id(id)).collectList().toFuture();
	}

	/** Sends a request that nobody reads the answer of. */
	void send(String id, String prompt) {
		send(new ProducerRecord<>(requests(), TestBroker.bytes(id),
				FORMAT.write(TextRequest.of(prompt, (request) -> request.id(id)))));
	}

	void send(ProducerRecord<byte[], byte[]> record) {
		TestBroker.send(record);
	}

	String requests() {
		return this.prefix + ".requests";
	}

	/** The chunks of a request, as they are in the topic. */
	List<TextChunk> chunks(String id) {
		return TestBroker
			.read(this.prefix + ".chunks", (all) -> chunks(all, id).stream().anyMatch((chunk) -> chunk.end() != null))
			.stream()
			.map((record) -> FORMAT.readChunk(record.value()))
			.filter((chunk) -> chunk.requestId().equals(id))
			.toList();
	}

	private static List<TextChunk> chunks(List<ConsumerRecord<byte[], byte[]>> all, String id) {
		return all.stream()
			.map((record) -> FORMAT.readChunk(record.value()))
			.filter((chunk) -> chunk.requestId().equals(id))
			.toList();
	}

	TextChunk.End end(String id) {
		List<TextChunk> chunks = chunks(id);
		return Objects.requireNonNull(chunks.get(chunks.size() - 1).end());
	}

	/** The offset that the next request gets, of the only partition. */
	long latest() {
		return TestBroker.latest(requests());
	}

	long committed() {
		return TestBroker.committed(this.prefix, requests());
	}

	static String text(List<TextChunk> chunks) {
		StringBuilder text = new StringBuilder();
		chunks.forEach((chunk) -> text.append(chunk.text()));
		return text.toString();
	}

	static Duration patience() {
		return Duration.ofSeconds(60);
	}

	@Override
	public void close() {
		this.context.close();
	}

	@SpringBootConfiguration
	@EnableAutoConfiguration
	static class Application {

		Application(TextGenerator generator) {
			if (!(generator instanceof HandFedText)) {
				throw new IllegalStateException("The model answers, not the test");
			}
		}

	}

}

package io.calm.streaming.service;

import java.time.Clock;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;

import io.calm.generation.FinishReason;
import io.calm.streaming.TestBroker;
import io.calm.streaming.TextRequest;
import io.micrometer.observation.ObservationRegistry;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.Test;

import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.MapConfigurationPropertySource;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * How much is taken up of what waits in the topic.
 */
class IntakeTests {

	private static ConditionFactory patiently() {
		return await().atMost(ServiceUnderTest.patience());
	}

	/** But for one, by which it is noticed. */
	@Test
	void nothingIsTakenUpWhileTheEngineIsDown() {
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		IntStream.range(0, 10).forEach((i) -> send(prefix, "r" + i, "1"));
		StreamingProperties properties = new Binder(new MapConfigurationPropertySource(Map.of("calm.streaming.group",
				prefix, "calm.streaming.topics.requests", prefix + ".requests", "calm.streaming.topics.chunks",
				prefix + ".chunks", "calm.streaming.topics.dead-letters", prefix + ".dead-letters")))
			.bindOrCreate("calm.streaming", StreamingProperties.class);
		HandFedText text = new HandFedText();
		text.busy().set(Integer.MAX_VALUE);
		AtomicInteger limit = new AtomicInteger();
		Outgoing outgoing = new Outgoing(new KafkaTemplate<>(new DefaultKafkaProducerFactory<>(TestBroker.connection(),
				new ByteArraySerializer(), new ByteArraySerializer())), ServiceUnderTest.FORMAT, properties);
		Clock clock = Clock.systemUTC();
		Generations generations = new Generations(text,
				new Admission(ServiceUnderTest.FORMAT, text, properties, 0, clock), outgoing, properties,
				ObservationRegistry.NOOP, null, clock, () -> limit.get() > 0);
		Map<String, Object> consumer = new HashMap<>(TestBroker.connection());
		consumer.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
		consumer.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
		consumer.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 1);
		GroupConsumer intake = new GroupConsumer(
				new DefaultKafkaConsumerFactory<>(consumer, new ByteArrayDeserializer(), new ByteArrayDeserializer()),
				properties, generations, outgoing, limit::get, null);
		intake.start();
		try {
			patiently().until(() -> text.busy().get() < Integer.MAX_VALUE);
			// it is tried again and again, and none beside it
			int tried = text.busy().get();
			patiently().until(() -> {
				assertThat(generations.inFlight()).hasSizeLessThanOrEqualTo(1);
				return text.busy().get() <= tried - 3;
			});
			assertThat(TestBroker.committed(prefix, prefix + ".requests")).isLessThanOrEqualTo(0);
			assertThat(TestBroker.latest(prefix + ".chunks")).isZero();
			text.busy().set(0);
			limit.set(4);
			patiently().until(() -> TestBroker.committed(prefix, prefix + ".requests") == 10);
			assertThat(TestBroker.latest(prefix + ".chunks")).isEqualTo(10);
			assertThat(TestBroker.latest(prefix + ".dead-letters")).isZero();
		}
		finally {
			intake.stop(Duration.ZERO);
		}
	}

	/**
	 * The first has not ended, so that all behind it are kept, and not more than 64 MB.
	 */
	@Test
	void requestsThatWaitForOneBeforeThemAreBounded() {
		int size = 950_000;
		int most = (64 << 20) / size + 1;
		// JSON may have as much white space as it likes
		String value = "{\"version\":1,\"prompt\":\"1\"" + " ".repeat(size) + "}";
		try (ServiceUnderTest service = ServiceUnderTest.start(1)) {
			service.send("first", "feed");
			patiently().until(() -> !service.text().feeds().isEmpty());
			IntStream.range(0, most + 10)
				.forEach((i) -> service.send(
						new ProducerRecord<>(service.requests(), TestBroker.bytes("r" + i), TestBroker.bytes(value))));
			String chunks = service.prefix() + ".chunks";
			patiently().until(() -> TestBroker.latest(chunks) >= most);
			await().during(Duration.ofSeconds(3))
				.atMost(ServiceUnderTest.patience())
				.until(() -> TestBroker.latest(chunks) <= most);
			service.text().feeds().get(0).end(FinishReason.END);
			patiently().until(() -> service.committed() == most + 11);
			assertThat(TestBroker.latest(chunks)).isEqualTo(most + 11);
		}
	}

	private static void send(String prefix, String id, String prompt) {
		TestBroker.send(new ProducerRecord<>(prefix + ".requests", TestBroker.bytes(id),
				ServiceUnderTest.FORMAT.write(TextRequest.of(prompt, (request) -> request.id(id)))));
	}

}

package io.calm.streaming.service;

import java.time.Clock;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;

import io.calm.streaming.FailureReason;
import io.calm.streaming.TestBroker;
import io.calm.streaming.TextRequest;
import io.micrometer.observation.ObservationRegistry;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.junit.jupiter.api.Test;

import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.kafka.core.DefaultKafkaProducerFactory;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.mock.env.MockEnvironment;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.awaitility.Awaitility.await;

/**
 * Attempts that end without a text, and through nobody's fault.
 */
class GenerationsTests {

	private final AtomicBoolean usable = new AtomicBoolean(true);

	private final HandFedText text = new HandFedText();

	private final Generations generations = generations();

	private Generations generations() {
		StreamingProperties properties = Binder.get(new MockEnvironment())
			.bindOrCreate("calm.streaming", StreamingProperties.class);
		Outgoing outgoing = new Outgoing(new KafkaTemplate<>(
				new DefaultKafkaProducerFactory<>(Map.of(), new ByteArraySerializer(), new ByteArraySerializer())),
				ServiceUnderTest.FORMAT, properties);
		Clock clock = Clock.systemUTC();
		return new Generations(this.text, new Admission(ServiceUnderTest.FORMAT, this.text, properties, 0, clock),
				outgoing, properties, ObservationRegistry.NOOP, null, clock, this.usable::get);
	}

	private static ConsumerRecord<byte[], byte[]> request(int partition) {
		return new ConsumerRecord<>("requests", partition, 0, TestBroker.bytes("r"),
				ServiceUnderTest.FORMAT.write(TextRequest.of("feed", (request) -> {
				})));
	}

	private Generation failed() {
		Generation begun = this.generations.begin(request(0), 1, true);
		await().atMost(ServiceUnderTest.patience()).until(() -> !this.text.feeds().isEmpty());
		this.text.feeds().get(0).fail(new IllegalStateException("the generation engine is closed"));
		return begun;
	}

	@Test
	void requestWaitsForAModelThatIsNotUsable() {
		this.usable.set(false);
		assertThatExceptionOfType(Exception.class).isThrownBy(() -> failed().conclusion().join())
			.withCauseInstanceOf(EngineUnavailableException.class);
		assertThat(this.generations.inFlight()).isEmpty();
	}

	@Test
	void failureOfAModelThatIsUsableIsToldAndKept() {
		assertThat(failed().conclusion().join()).hasSize(2)
			.last()
			.satisfies((letter) -> assertThat(letter.headers().lastHeader("calm_reason").value())
				.isEqualTo(TestBroker.bytes(FailureReason.MODEL_FAILED.name())));
	}

	/** Its own partition may have stayed. */
	@Test
	void requestThatWaitsForItsTwinIsNotAbandonedWithIt() {
		Generation first = this.generations.begin(request(0), 1, true);
		Generation second = this.generations.begin(request(1), 2, true);
		first.abandon();
		assertThatExceptionOfType(Exception.class).isThrownBy(() -> second.conclusion().join())
			.withCauseInstanceOf(EngineUnavailableException.class);
	}

}

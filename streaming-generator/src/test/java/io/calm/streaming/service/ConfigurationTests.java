package io.calm.streaming.service;

import io.calm.input.InvalidInputException;
import io.calm.streaming.TextChunk;
import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * Properties of Kafka's clients with which the promises would not hold.
 */
class ConfigurationTests {

	@Test
	void staticMembersAreRefused() {
		assertThatExceptionOfType(Exception.class)
			.isThrownBy(() -> ServiceUnderTest.start(1, "spring.kafka.consumer.properties.group.instance.id=one"))
			.withRootCauseInstanceOf(InvalidInputException.class)
			.withStackTraceContaining("group.instance.id");
	}

	@Test
	void protocolThatLosesTransactionsIsRefusedForResults() {
		assertThatExceptionOfType(Exception.class)
			.isThrownBy(
					() -> ServiceUnderTest.start(1, "calm.streaming.mode=results", ServiceUnderTest.PROTOCOL_CONSUMER))
			.withRootCauseInstanceOf(InvalidInputException.class)
			.withStackTraceContaining("group.protocol");
	}

	@Test
	void protocolConsumerStreams() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1, ServiceUnderTest.PROTOCOL_CONSUMER)) {
			service.send("r", "2");
			assertThat(service.end("r").status()).isEqualTo(TextChunk.Status.COMPLETED);
		}
	}

}

package io.calm.streaming.service;

import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;

import io.calm.generation.FinishReason;
import io.calm.streaming.TestBroker;
import io.micrometer.core.instrument.MeterRegistry;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.HealthIndicator;
import org.springframework.boot.health.contributor.Status;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * What operators see.
 */
class ObservabilityTests {

	@Test
	void metricsHealthAndTheRequestsInFlight() {
		try (ServiceUnderTest service = ServiceUnderTest.start(2,
				"management.endpoints.web.exposure.include=generations")) {
			HealthIndicator health = service.context().getBean("calmStreamingHealthContributor", HealthIndicator.class);
			await().atMost(ServiceUnderTest.patience()).until(() -> service.service().assigned().size() == 2);
			CompletableFuture<?> answer = service.ask("slow", "feed");
			await().atMost(ServiceUnderTest.patience()).until(() -> !service.text().feeds().isEmpty());
			service.text().feeds().get(0).say("one", " two");

			await().atMost(ServiceUnderTest.patience()).until(() -> service.service().inFlight().get(0).chunks() == 2);
			GenerationsEndpoint endpoint = new GenerationsEndpoint(service.service());
			assertThat(endpoint.generations().generations()).singleElement().satisfies((entry) -> {
				assertThat(entry.requestId()).isEqualTo("slow");
				assertThat(entry.record()).startsWith(service.requests());
				assertThat(entry.age()).isPositive();
				assertThat(entry.tokens()).isEqualTo(2);
			});
			Health busy = Objects.requireNonNull(health.health());
			assertThat(busy.getStatus()).isEqualTo(Status.UP);
			assertThat(busy.getDetails()).containsEntry("inFlight", 1);
			assertThat(busy.getDetails().get("lag")).isIn(
					Map.of(service.requests() + "-0", 1L, service.requests() + "-1", 0L),
					Map.of(service.requests() + "-0", 0L, service.requests() + "-1", 1L));

			service.text().feeds().get(0).end(FinishReason.END);
			answer.join();
			service.send(new ProducerRecord<>(service.requests(), TestBroker.bytes("bad"), TestBroker.bytes("bad")));
			service.end("bad");
			MeterRegistry meters = service.context().getBean(MeterRegistry.class);
			await().atMost(ServiceUnderTest.patience())
				.untilAsserted(() -> assertThat(
						meters.get(StreamingMeters.FAILURES).tag("reason", "INVALID_MESSAGE").counter().count())
					.isEqualTo(1));
			assertThat(meters.get(RequestObservationConvention.NAME).tag("outcome", "completed").timer().count())
				.isEqualTo(1);
			assertThat(meters.get(RequestObservationConvention.NAME).tag("outcome", "failed").timer().count())
				.isEqualTo(1);
			assertThat(meters.get(StreamingMeters.FIRST_CHUNK).timer().count()).isEqualTo(1);
			assertThat(meters.get(StreamingMeters.OTHER_CHUNKS).timer().count()).isEqualTo(2);
			assertThat(meters.get(StreamingMeters.QUEUE_TIME).timer().count()).isEqualTo(1);
			assertThat(meters.get(StreamingMeters.SPEED).summary().count()).isEqualTo(1);
			assertThat(meters.get("calm.streaming.in.flight").gauge().value()).isZero();
			assertThat(endpoint.generations().generations()).isEmpty();
		}
	}

	@Test
	@ExtendWith(OutputCaptureExtension.class)
	void brokersThatDoNotAnswerAreSeen(CapturedOutput output) {
		try (ServiceUnderTest service = ServiceUnderTest.start(TestBroker.prefix(),
				"spring.kafka.bootstrap-servers=localhost:1", "calm.streaming.topics.create=true",
				"calm.streaming.enabled=true")) {
			HealthIndicator health = service.context().getBean("calmStreamingHealthContributor", HealthIndicator.class);
			Health down = Objects.requireNonNull(health.health());
			assertThat(down.getStatus()).isEqualTo(Status.DOWN);
			assertThat(String.valueOf(down.getDetails().get("error"))).startsWith("the brokers do not answer");
			// a probe asks every few seconds
			assertThat(output).doesNotContain("TimeoutException", "\tat ");
		}
	}

	/** A name that does not resolve yet, or a key that is mounted a moment later. */
	@ParameterizedTest
	@CsvSource({ "stream,true", "stream,false", "results,false", "share-group,true" })
	@ExtendWith(OutputCaptureExtension.class)
	void brokersThatAreNotThereYetAreWaitedFor(String mode, String create, CapturedOutput output) {
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		NotYet.ready = false;
		try (ServiceUnderTest service = ServiceUnderTest.start(prefix, "calm.streaming.mode=" + mode,
				"calm.streaming.topics.create=" + create,
				"spring.kafka.properties.metric.reporters=" + NotYet.class.getName())) {
			HealthIndicator health = service.context().getBean("calmStreamingHealthContributor", HealthIndicator.class);
			await().atMost(ServiceUnderTest.patience()).until(() -> output.getOut().contains("cannot be taken up yet"));
			Health down = Objects.requireNonNull(health.health());
			assertThat(down.getStatus()).isEqualTo(Status.DOWN);
			assertThat(String.valueOf(down.getDetails().get("error"))).contains("No resolvable bootstrap urls");
			assertThat(output).doesNotContain("\tat ");
			NotYet.ready = true;
			service.send("r", "2");
			assertThat(service.chunks("r")).isNotEmpty();
			await().atMost(ServiceUnderTest.patience())
				.until(() -> Objects.requireNonNull(health.health()).getStatus().equals(Status.UP));
		}
		finally {
			NotYet.ready = true;
		}
	}

}

package io.calm.streaming.service;

import java.lang.reflect.Proxy;
import java.time.Duration;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.common.KafkaException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

import org.springframework.boot.health.contributor.Health;
import org.springframework.boot.health.contributor.Status;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * The state of the brokers, for those who ask while they do not answer.
 */
class StreamingHealthTests {

	/** A probe must not wait for a page, nor the other way round. */
	@Test
	@Timeout(60)
	void severalMayAskAtOnce() {
		CyclicBarrier both = new CyclicBarrier(2);
		Admin brokers = (Admin) Proxy.newProxyInstance(Admin.class.getClassLoader(), new Class<?>[] { Admin.class },
				(proxy, method, arguments) -> {
					if (method.getName().equals("describeCluster")) {
						// none gets an answer before the other has asked
						both.await(50, TimeUnit.SECONDS);
						throw new KafkaException("no answer");
					}
					return null;
				});
		try (ServiceUnderTest service = ServiceUnderTest.start(1)) {
			StreamingHealthIndicator health = new StreamingHealthIndicator(service.service(),
					service.context().getBean(StreamingProperties.class), () -> brokers);
			List<CompletableFuture<Health>> asked = Stream
				.generate(() -> CompletableFuture.supplyAsync(() -> Objects.requireNonNull(health.health()),
						Executors.newSingleThreadExecutor()))
				.limit(2)
				.toList();
			assertThat(asked).allSatisfy((each) -> assertThat(each).succeedsWithin(Duration.ofSeconds(55))
				.satisfies((answer) -> assertThat(answer.getStatus()).isEqualTo(Status.DOWN))
				.satisfies((answer) -> assertThat(answer.getDetails()).hasEntrySatisfying("error",
						(error) -> assertThat(error.toString()).contains("cannot be reached: no answer"))));
		}
	}

}

package io.calm.streaming.service;

import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import io.calm.generation.FinishReason;
import io.calm.streaming.FailureReason;
import io.calm.streaming.MessageHeaders;
import io.calm.streaming.TestBroker;
import io.calm.streaming.TextChunk;
import io.calm.streaming.TextRequest;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.ShareConsumer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.config.ConfigResource;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.slf4j.LoggerFactory;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * More workers than partitions.
 */
class ShareGroupModeTests {

	private static final String[] MODE = { "calm.streaming.mode=share-group", "calm.streaming.topics.create=true",
			"calm.streaming.topics.partitions=1", "calm.engine.slots=3" };

	private static ConditionFactory patiently() {
		return await().atMost(ServiceUnderTest.patience());
	}

	private static ServiceUnderTest start(String prefix, String... more) {
		return ServiceUnderTest.start(prefix, Stream.of(MODE, more).flatMap(Arrays::stream).toArray(String[]::new));
	}

	private static void lock(String prefix, int millis) {
		try (Admin admin = Admin.create(TestBroker.connection())) {
			admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.GROUP, prefix),
					List.of(new AlterConfigOp(
							new ConfigEntry("share.record.lock.duration.ms", Integer.toString(millis)),
							AlterConfigOp.OpType.SET))))
				.all()
				.get();
		}
		catch (InterruptedException | ExecutionException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/** A broker that died counts a delivery again that it had counted before. */
	@Test
	void laterAttemptHasTheGreaterNumber() {
		Instant now = Instant.now();
		assertThat(ShareGroupConsumer.number(1, now.plusMillis(1))).isGreaterThan(ShareGroupConsumer.number(1, now));
		assertThat(ShareGroupConsumer.number(2, now.minusSeconds(3600)))
			.isGreaterThan(ShareGroupConsumer.number(1, now));
	}

	@Test
	void slowRequestDoesNotStopThoseBehindIt() {
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		try (ServiceUnderTest service = start(prefix)) {
			service.send("slow", "feed");
			IntStream.range(0, 20).forEach((i) -> service.send("r" + i, "3"));
			IntStream.range(0, 20).forEach((i) -> assertThat(service.chunks("r" + i)).hasSize(3));
			service.text().feeds().get(0).end(FinishReason.END);
			assertThat(service.end("slow").status()).isEqualTo(TextChunk.Status.COMPLETED);
		}
	}

	@Test
	void lockIsRenewedUntilTheEnd() {
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		lock(prefix, 2000);
		try (ServiceUnderTest service = start(prefix)) {
			service.send("slow", "feed");
			patiently().until(() -> !service.text().feeds().isEmpty());
			long begun = System.nanoTime();
			// several locks long
			patiently().until(() -> System.nanoTime() - begun > 7_000_000_000L);
			service.text().feeds().get(0).say("one").end(FinishReason.END);
			assertThat(service.chunks("slow")).hasSize(2);
			assertThat(service.text().feeds()).hasSize(1);
		}
	}

	@Test
	void requestThatIsGivenBackGoesToAnotherServiceAndAtLastToTheDeadLetters() {
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		long before = 0;
		for (int delivery = 1; delivery < 3; delivery++) {
			try (ServiceUnderTest service = start(prefix, "calm.streaming.share.deliveries=3")) {
				if (delivery == 1) {
					service.send("unlucky", "feed");
				}
				patiently().until(() -> !service.service().inFlight().isEmpty());
				long attempt = service.service().inFlight().get(0).attempt();
				assertThat(attempt).isGreaterThan(before);
				before = attempt;
			}
		}
		try (ServiceUnderTest service = start(prefix, "calm.streaming.share.deliveries=3")) {
			TextChunk.Failure failure = service.end("unlucky").failure();
			assertThat(failure).isNotNull()
				.satisfies((each) -> assertThat(each.reason()).isEqualTo(FailureReason.TOO_MANY_DELIVERIES));
			assertThat(TestBroker.read(prefix + ".dead-letters", (all) -> all.size() == 1)
				.get(0)
				.headers()
				.lastHeader(MessageHeaders.REASON)
				.value()).isEqualTo(TestBroker.bytes("TOO_MANY_DELIVERIES"));
			service.send("next", "2");
			assertThat(service.chunks("next")).hasSize(2);
		}
	}

	/** The default lock of 30 s, and workers of two services. */
	@Test
	@EnabledIfSystemProperty(named = "calm.long", matches = "true")
	void twentyWorkersOnOnePartition() {
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		try (ServiceUnderTest first = start(prefix, "calm.engine.slots=10");
				ServiceUnderTest second = start(prefix, "calm.engine.slots=10")) {
			IntStream.range(0, 20).forEach((i) -> first.send("slow" + i, "feed " + i));
			patiently().until(() -> first.text().feeds().size() + second.text().feeds().size() == 20);
			long begun = System.nanoTime();
			await().atMost(Duration.ofMinutes(3)).until(() -> System.nanoTime() - begun > 70_000_000_000L);
			Stream.of(first, second)
				.flatMap((service) -> service.text().feeds().stream())
				.forEach((feed) -> feed.say("one").end(FinishReason.END));
			IntStream.range(0, 20).forEach((i) -> assertThat(first.chunks("slow" + i)).hasSize(2));
			LoggerFactory.getLogger(getClass())
				.info("20 workers ({} and {}) on one partition held their locks for 70 s; {} texts were begun",
						first.text().feeds().size(), second.text().feeds().size(),
						first.text().feeds().size() + second.text().feeds().size());
			assertThat(first.text().feeds().size() + second.text().feeds().size()).isEqualTo(20);
		}
	}

	/** It has taken the request up and is silent from then on. */
	@Test
	void requestOfAServiceThatDoesNotComeBackIsBegunAgain() {
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		lock(prefix, 2000);
		patiently().until(() -> ShareConsumers.beginAtTheEarliest(TestBroker.connection(), prefix));
		TestBroker.send(new ProducerRecord<>(prefix + ".requests", TestBroker.bytes("r"),
				ServiceUnderTest.FORMAT.write(TextRequest.of("2", (request) -> {
				}))));
		try (ShareConsumer<byte[], byte[]> dead = ShareConsumers.factory(TestBroker.connection())
			.createShareConsumer(prefix, "dead")) {
			dead.subscribe(List.of(prefix + ".requests"));
			patiently().until(() -> !dead.poll(Duration.ofMillis(200)).isEmpty());
			try (ServiceUnderTest service = start(prefix)) {
				List<TextChunk> chunks = service.chunks("r");
				assertThat(chunks).hasSize(2);
				assertThat(chunks.get(0).attempt() >> ShareGroupConsumer.TIME_BITS).isEqualTo(2);
			}
		}
	}

	/** It has a request already, and looks idle. */
	@Test
	void workerThatStandsStillDoesNotKeepTheServiceFromEnding() {
		StandingStill still = new StandingStill();
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		ServiceUnderTest service = ServiceUnderTest.start(prefix, new HandFedText(), List.of(still), MODE);
		try {
			service.send(StandingStill.ID, "2");
			patiently().until(still::stands);
			CompletableFuture<Void> closing = CompletableFuture.runAsync(service::close);
			patiently().until(closing::isDone);
		}
		finally {
			still.goOn();
		}
	}

}

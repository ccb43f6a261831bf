package io.calm.streaming.service;

import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeoutException;
import java.util.stream.IntStream;

import io.calm.generation.FinishReason;
import io.calm.streaming.CancelRequest;
import io.calm.streaming.TestBroker;
import io.calm.streaming.TextChunk;
import io.calm.streaming.TextRequest;
import io.calm.streaming.client.CalmKafkaClient;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.Test;
import reactor.core.Disposable;

import org.springframework.kafka.support.KafkaHeaders;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.awaitility.Awaitility.await;

/**
 * Texts that nobody wants any more.
 */
class CancellationTests {

	private static ConditionFactory patiently() {
		return await().atMost(ServiceUnderTest.patience());
	}

	private static TextChunk.FinishReason reason(ServiceUnderTest service, String id) {
		TextChunk.End end = service.end(id);
		assertThat(end.status()).isEqualTo(TextChunk.Status.CANCELLED);
		return Objects.requireNonNull(end.finishReason());
	}

	@Test
	void beforeTheStart() {
		try (ServiceUnderTest client = ServiceUnderTest.start(1, "calm.streaming.enabled=false")) {
			client.send("early", "feed");
			client.send(new ProducerRecord<>(client.prefix() + ".control", TestBroker.bytes("early"),
					ServiceUnderTest.FORMAT.write(new CancelRequest("early"))));
			// read before the requests, or in mid-stream at the latest
			try (ServiceUnderTest service = ServiceUnderTest.start(client.prefix())) {
				assertThat(reason(service, "early")).isEqualTo(TextChunk.FinishReason.CANCELLED);
				patiently().until(() -> service.committed() == 1);
			}
		}
	}

	@Test
	void beforeTheStartIsToldWhereItsCallerListens() {
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		TestBroker.createTopics(List.of(prefix + ".mine"), 1);
		try (ServiceUnderTest service = ServiceUnderTest.start(prefix,
				"calm.streaming.reply-topics=" + prefix + ".mine")) {
			service.client().cancel("early");
			patiently().until(() -> service.service().generations().cancelled().contains("early"));
			ProducerRecord<byte[], byte[]> request = new ProducerRecord<>(service.requests(), TestBroker.bytes("early"),
					ServiceUnderTest.FORMAT.write(TextRequest.of("feed", (options) -> options.id("early"))));
			request.headers().add(KafkaHeaders.REPLY_TOPIC, TestBroker.bytes(prefix + ".mine"));
			service.send(request);
			List<TextChunk> told = TestBroker.read(prefix + ".mine", (all) -> !all.isEmpty())
				.stream()
				.map((record) -> ServiceUnderTest.FORMAT.readChunk(record.value()))
				.toList();
			assertThat(told).hasSize(1);
			assertThat(told.get(0).requestId()).isEqualTo("early");
			assertThat(told.get(0).end()).isNotNull()
				.satisfies((end) -> assertThat(end.finishReason()).isEqualTo(TextChunk.FinishReason.CANCELLED));
			patiently().until(() -> service.committed() == 1);
			assertThat(TestBroker.latest(prefix + ".chunks")).isZero();
			assertThat(service.text().feeds().stream().filter((feed) -> !feed.cancelled())).isEmpty();
		}
	}

	@Test
	void whileItWaitsInItsPartition() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1, "calm.engine.slots=1")) {
			service.send("first", "feed");
			service.send("waiting", "feed too");
			patiently().until(() -> !service.text().feeds().isEmpty());
			service.client().cancel("waiting");
			// a cancellation that is read later shows that this one has been
			CompletableFuture<List<TextChunk>> first = CompletableFuture.supplyAsync(() -> service.chunks("first"));
			service.client().cancel("first");
			first.join();
			assertThat(reason(service, "waiting")).isEqualTo(TextChunk.FinishReason.CANCELLED);
			assertThat(service.text().feeds("feed too").stream().filter((feed) -> !feed.cancelled())).isEmpty();
		}
	}

	@Test
	void inMidStream() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1)) {
			CompletableFuture<List<TextChunk>> answer = service.ask("mid", "feed");
			patiently().until(() -> !service.text().feeds().isEmpty());
			service.text().feeds().get(0).say("one");
			TestChunks.awaitSeq(service, "mid", 0);
			service.client().cancel("mid");
			assertThat(answer.join()).hasSize(2).first().extracting(TextChunk::text).isEqualTo("one");
			assertThat(reason(service, "mid")).isEqualTo(TextChunk.FinishReason.CANCELLED);
			patiently().until(() -> service.text().feeds().get(0).cancelled());
			patiently().until(() -> service.committed() == 1);
		}
	}

	@Test
	void afterTheEnd() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1)) {
			assertThat(service.ask("done", "2").join()).hasSize(2);
			service.client().cancel("done");
			service.client().cancel("next");
			assertThat(service.ask("other", "2").join()).hasSize(2);
			assertThat(service.chunks("done")).hasSize(2)
				.last()
				.satisfies((chunk) -> assertThat(chunk.end()).isNotNull()
					.satisfies((end) -> assertThat(end.status()).isEqualTo(TextChunk.Status.COMPLETED)));
		}
	}

	@Test
	void subscriberWhoGoesAway() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1)) {
			Disposable reader = service.client().stream("feed", (request) -> request.id("gone")).subscribe();
			patiently().until(() -> !service.text().feeds().isEmpty());
			reader.dispose();
			patiently().until(() -> service.text().feeds().get(0).cancelled());
			assertThat(reason(service, "gone")).isEqualTo(TextChunk.FinishReason.CANCELLED);
		}
	}

	@Test
	void timeoutOfTheClient() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1);
				CalmKafkaClient client = CalmKafkaClient.create(TestBroker.connection(),
						(options) -> options.requests(service.requests())
							.chunks(service.prefix() + ".chunks")
							.control(service.prefix() + ".control")
							.timeout(Duration.ofSeconds(3)))) {
			assertThatExceptionOfType(Exception.class)
				.isThrownBy(() -> client.text("feed", (request) -> request.id("slow")))
				.withRootCauseInstanceOf(TimeoutException.class)
				.withMessageContaining("slow");
			patiently().until(() -> service.text().feeds().stream().allMatch(HandFedText.Feed::cancelled));
			assertThat(reason(service, "slow")).isEqualTo(TextChunk.FinishReason.CANCELLED);
		}
	}

	@Test
	void deadlineInMidStream() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1)) {
			Instant deadline = Instant.now().plusSeconds(60);
			CompletableFuture<List<TextChunk>> answer = service.client()
				.stream("feed", (request) -> request.id("late").deadline(deadline))
				.collectList()
				.toFuture();
			patiently().until(() -> !service.text().feeds().isEmpty());
			// the engine keeps it: it was told how long
			assertThat(service.text().feeds().get(0).request().deadline()).isBetween(Duration.ZERO,
					Duration.ofSeconds(60));
			service.text().feeds().get(0).say("one").end(FinishReason.DEADLINE);
			assertThat(answer.join()).hasSize(2);
			assertThat(reason(service, "late")).isEqualTo(TextChunk.FinishReason.DEADLINE);
		}
	}

	/** Of which there would be no request. */
	@Test
	void longIdIsNotRemembered() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1)) {
			String longId = "x".repeat(1_000_000);
			service.send(new ProducerRecord<>(service.prefix() + ".control", null,
					ServiceUnderTest.FORMAT.write(new CancelRequest(longId))));
			service.client().cancel("early");
			service.send("other", "feed other");
			patiently().until(() -> !service.text().feeds("feed other").isEmpty());
			service.client().cancel("other");
			assertThat(reason(service, "other")).isEqualTo(TextChunk.FinishReason.CANCELLED);
			assertThat(service.service().generations().cancelled().contains("early")).isTrue();
			assertThat(service.service().generations().cancelled().contains(longId)).isFalse();
		}
	}

	@Test
	void closingTheClientEndsItsTexts() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1)) {
			CalmKafkaClient client = CalmKafkaClient.create(TestBroker.connection(),
					(options) -> options.requests(service.requests())
						.chunks(service.prefix() + ".chunks")
						.control(service.prefix() + ".control"));
			List<String> ids = IntStream.range(0, 4).mapToObj((i) -> "open" + i).toList();
			ids.forEach((id) -> client.stream("feed", (request) -> request.id(id)).subscribe((chunk) -> {
			}, (failure) -> {
			}));
			patiently().until(() -> service.text().feeds().size() == 4);
			client.close();
			ids.forEach((id) -> assertThat(reason(service, id)).isEqualTo(TextChunk.FinishReason.CANCELLED));
		}
	}

}

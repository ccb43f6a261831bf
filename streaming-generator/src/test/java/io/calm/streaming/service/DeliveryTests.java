package io.calm.streaming.service;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArraySet;
import java.util.stream.IntStream;

import io.calm.generation.FinishReason;
import io.calm.streaming.FailureReason;
import io.calm.streaming.MessageHeaders;
import io.calm.streaming.TestBroker;
import io.calm.streaming.TextChunk;
import io.calm.streaming.TextRequest;
import io.calm.streaming.client.CalmKafkaClient;
import io.calm.streaming.client.ChunkFilter;
import io.calm.streaming.client.GenerationFailedException;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import org.springframework.boot.kafka.autoconfigure.DefaultKafkaConsumerFactoryCustomizer;
import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;
import org.springframework.kafka.core.ConsumerPostProcessor;
import org.springframework.kafka.core.DefaultKafkaConsumerFactory;
import org.springframework.kafka.support.KafkaHeaders;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.awaitility.Awaitility.await;

/**
 * The promises of delivery, one by one, on a real broker.
 */
class DeliveryTests {

	private static ConditionFactory patiently() {
		return await().atMost(ServiceUnderTest.patience());
	}

	@Test
	void offsetsAreCommittedUpToTheFirstRequestThatHasNotEnded() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1)) {
			List.of("a", "b", "c").forEach((id) -> service.send(id, "feed " + id));
			patiently().until(() -> service.text().feeds().size() == 3);
			service.text().feeds("feed c").get(0).end(FinishReason.END);
			service.text().feeds("feed b").get(0).end(FinishReason.END);
			assertThat(service.end("b").status()).isEqualTo(TextChunk.Status.COMPLETED);
			assertThat(service.end("c").status()).isEqualTo(TextChunk.Status.COMPLETED);
			patiently().until(() -> service.service().inFlight().size() == 1);
			assertThat(service.committed()).isLessThanOrEqualTo(0);
			service.text().feeds("feed a").get(0).end(FinishReason.END);
			patiently().until(() -> service.committed() == 3);
		}
	}

	@Test
	void slotsBoundWhatIsTakenUp() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1, "calm.engine.slots=2", "calm.streaming.ahead=1")) {
			IntStream.range(0, 4).forEach((i) -> service.send("fed" + i, "feed " + i));
			IntStream.range(0, 60).forEach((i) -> service.send("auto" + i, "3"));
			patiently().until(() -> service.text().feeds().size() == 3);
			assertThat(service.service().inFlight()).hasSize(3);
			service.text().feeds("feed 1").get(0).end(FinishReason.END);
			patiently().until(() -> !service.text().feeds("feed 3").isEmpty());
			service.text().feeds().forEach((feed) -> feed.end(FinishReason.END));
			patiently().until(() -> service.committed() == 64);
			assertThat(service.text().mostOpen()).isEqualTo(3);
		}
	}

	@Test
	void textMayTakeLongerThanThePollInterval() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1, "calm.engine.slots=1",
				"spring.kafka.consumer.properties.max.poll.interval.ms=6000")) {
			CompletableFuture<List<TextChunk>> answer = service.ask("long", "feed");
			patiently().until(() -> !service.text().feeds().isEmpty());
			long begun = System.nanoTime();
			// the interval and a half; the slot is full, so that all is paused
			patiently().until(() -> System.nanoTime() - begun > Duration.ofSeconds(9).toNanos());
			service.text().feeds().get(0).say("still").end(FinishReason.END);
			assertThat(answer.join()).extracting(TextChunk::text).containsExactly("still", ".");
			patiently().until(() -> service.committed() == 1);
			assertThat(service.text().feeds()).hasSize(1);
		}
	}

	@Test
	void partitionThatMovesTakesItsTextsAlong() {
		try (ServiceUnderTest first = ServiceUnderTest.start(2, "calm.engine.slots=20")) {
			List<CompletableFuture<List<TextChunk>>> answers = IntStream.range(0, 12)
				.mapToObj((i) -> first.ask("r" + i, "feed " + i))
				.toList();
			patiently().until(() -> first.text().feeds().size() == 12);
			first.text().feeds().forEach((feed) -> feed.say("one", " two"));
			try (ServiceUnderTest second = ServiceUnderTest.start(first.prefix(), "calm.engine.slots=20")) {
				patiently().until(() -> !second.text().feeds().isEmpty() && second.text()
					.feeds()
					.size() == first.text().feeds().stream().filter(HandFedText.Feed::cancelled).count());
				// what did not move goes on where it was
				assertThat(second.text().feeds()).hasSizeLessThan(12);
				first.text().feeds().forEach((feed) -> feed.say(" three").end(FinishReason.END));
				second.text().feeds().forEach((feed) -> feed.say("one", " two", " three").end(FinishReason.END));
				answers.forEach((answer) -> assertThat(answer.join()).extracting(TextChunk::text)
					.containsExactly("one", " two", " three", "."));
			}
		}
	}

	/**
	 * The first service stands still for longer than the poll interval, and does not know
	 * that its partition is somebody else's, while its engine goes on.
	 */
	@Test
	void twoServicesWithTheSameRequestMakeOneText() {
		StandingStill still = new StandingStill();
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		try (ServiceUnderTest client = ServiceUnderTest.start(prefix, "calm.streaming.enabled=false");
				ServiceUnderTest first = ServiceUnderTest.start(prefix, new HandFedText(), List.of(still),
						"spring.kafka.consumer.properties.max.poll.interval.ms=6000")) {
			CompletableFuture<List<TextChunk>> answer = client.ask("both", "feed");
			patiently().until(() -> !first.text().feeds().isEmpty());
			first.text().feeds().get(0).say("one");
			client.send(StandingStill.ID, "feed too");
			patiently().until(still::stands);
			try (ServiceUnderTest second = ServiceUnderTest.start(prefix)) {
				patiently().until(() -> !second.text().feeds("feed").isEmpty());
				second.text().feeds("feed").get(0).say("one", " two");
				TestChunks.awaitSeq(client, "both", 1);
				// the zombie speaks on, and even ends
				first.text().feeds().get(0).say(" zwei").end(FinishReason.END);
				TestChunks.awaitCount(client, "both", 5);
				second.text().feeds("feed").get(0).say(" three").end(FinishReason.END);
				assertThat(answer.join()).extracting(TextChunk::text).containsExactly("one", " two", " three", ".");
				still.goOn();
				patiently().until(() -> first.service().inFlight().isEmpty());
				second.text().feeds("feed too").forEach((feed) -> feed.end(FinishReason.END));
				patiently().until(() -> client.committed() == 2);
			}
		}
	}

	@Test
	void textThatHasNotEndedInTheGraceIsLeftToAnotherService() {
		CompletableFuture<List<TextChunk>> answer;
		try (ServiceUnderTest second = ServiceUnderTest.start(1, "calm.streaming.enabled=false")) {
			try (ServiceUnderTest first = ServiceUnderTest.start(second.prefix())) {
				answer = second.ask("r", "feed");
				patiently().until(() -> !first.text().feeds().isEmpty());
				first.text().feeds().get(0).say("one");
			}
			try (ServiceUnderTest third = ServiceUnderTest.start(second.prefix())) {
				patiently().until(() -> !third.text().feeds().isEmpty());
				third.text().feeds().get(0).say("one", " two").end(FinishReason.END);
				assertThat(answer.join()).extracting(TextChunk::text).containsExactly("one", " two", ".");
			}
		}
	}

	@Test
	void textEndsInTheGraceAndItsOffsetIsCommitted() {
		try (ServiceUnderTest client = ServiceUnderTest.start(1, "calm.streaming.enabled=false")) {
			ServiceUnderTest service = ServiceUnderTest.start(client.prefix(), "calm.streaming.shutdown-grace=60s");
			CompletableFuture<List<TextChunk>> answer = client.ask("r", "feed");
			patiently().until(() -> !service.text().feeds().isEmpty());
			CompletableFuture<Void> closing = CompletableFuture.runAsync(service::close);
			service.send("late", "feed too");
			service.text().feeds().get(0).say("one").end(FinishReason.END);
			closing.join();
			assertThat(answer.join()).hasSize(2);
			assertThat(client.committed()).isEqualTo(1);
			assertThat(service.text().feeds("feed too")).isEmpty();
		}
	}

	@Test
	void attemptThatSaysSomethingElseBeginsAnew() {
		try (ServiceUnderTest client = ServiceUnderTest.start(1, "calm.streaming.enabled=false")) {
			CompletableFuture<List<TextChunk>> answer;
			try (ServiceUnderTest first = ServiceUnderTest.start(client.prefix())) {
				answer = client.ask("r", "feed");
				patiently().until(() -> !first.text().feeds().isEmpty());
				first.text().feeds().get(0).say("one", " two", " three");
				TestChunks.awaitSeq(client, "r", 2);
			}
			try (ServiceUnderTest second = ServiceUnderTest.start(client.prefix())) {
				patiently().until(() -> !second.text().feeds().isEmpty());
				second.text().feeds().get(0).say("one", " 2").end(FinishReason.END);
				assertThat(answer.join()).extracting(TextChunk::text)
					.containsExactly("one", " two", " three", "one", " 2", ".");
				assertThat(answer.join()).extracting(TextChunk::seq).containsExactly(0, 1, 2, 0, 1, 2);
			}
		}
	}

	@Test
	void requestThatIsSentTwiceIsOne() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1)) {
			service.send("twice", "feed");
			service.send("twice", "feed");
			service.send("other", "3");
			assertThat(service.end("other").chunks()).isEqualTo(3);
			service.text().feeds().get(0).say("one").end(FinishReason.END);
			patiently().until(() -> service.committed() == 3);
			assertThat(service.text().feeds()).hasSize(1);
			assertThat(service.chunks("twice")).hasSize(2);
		}
	}

	@Test
	void anotherRequestWithTheSameKeyIsRefusedWhileTheFirstIsInFlight() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1)) {
			CompletableFuture<List<TextChunk>> answer = service.ask("same", "feed");
			patiently().until(() -> !service.text().feeds().isEmpty());
			service.text().feeds().get(0).say("one");
			TestChunks.awaitSeq(service, "same", 0);
			service.send("same", "feed differently");
			assertThat(service.end("same").failure()).isNotNull()
				.satisfies((failure) -> assertThat(failure.reason()).isEqualTo(FailureReason.TOO_MANY_REQUESTS));
			service.text().feeds().get(0).end(FinishReason.END);
			assertThat(answer.join()).extracting(TextChunk::text).containsExactly("one", ".");
		}
	}

	@Test
	void failureOfTheModelIsTold() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1)) {
			CompletableFuture<List<TextChunk>> answer = service.ask("r", "feed");
			patiently().until(() -> !service.text().feeds().isEmpty());
			service.text().feeds().get(0).say("one").fail(new IllegalStateException("a secret of the model"));
			assertThatExceptionOfType(Exception.class).isThrownBy(answer::join)
				.withRootCauseInstanceOf(GenerationFailedException.class)
				.withMessageContaining("MODEL_FAILED")
				.withMessageNotContaining("secret");
			patiently().until(() -> service.committed() == 1);
		}
	}

	/** The first chunk is lost when the end has come already. */
	@Test
	void attemptEndsWhenAllItsChunksAreWritten() {
		Brokers brokers = new Brokers();
		try (ServiceUnderTest service = startWith(brokers)) {
			brokers.kept = "r";
			service.send("r", "feed");
			patiently().until(() -> !service.text().feeds().isEmpty());
			service.text().feeds().get(0).say("one");
			patiently().until(() -> service.service().inFlight().get(0).chunks() == 1);
			brokers.kept = "";
			service.text().feeds().get(0).say(" two").end(FinishReason.END);
			TestChunks.awaitSeq(service, "r", 1);
			assertThat(brokers.expire()).isEqualTo(1);
			patiently().until(() -> service.text().feeds().size() == 2);
			assertThat(service.committed()).isLessThanOrEqualTo(0);
			service.text().feeds().get(1).say("one", " two").end(FinishReason.END);
			List<TextChunk> all = service.chunks("r");
			ChunkFilter filter = new ChunkFilter();
			assertThat(all.stream().flatMap((chunk) -> filter.accept(chunk).stream())).extracting(TextChunk::text)
				.containsExactly("one", " two", ".");
			assertThat(all).filteredOn((chunk) -> chunk.end() != null).hasSize(1);
			patiently().until(() -> service.committed() == 1);
		}
	}

	@Test
	void chunksThatCannotBeWrittenInFiveAttemptsAreTold() {
		Brokers brokers = new Brokers();
		try (ServiceUnderTest service = startWith(brokers)) {
			brokers.kept = "r";
			service.send("r", "feed");
			for (int attempt = 1; attempt <= 5; attempt++) {
				int begun = attempt;
				patiently().until(() -> service.text().feeds().size() == begun);
				service.text().feeds().get(begun - 1).say("one");
				patiently().until(() -> brokers.expire() == 1);
			}
			assertThat(service.end("r").failure()).isNotNull()
				.satisfies((failure) -> assertThat(failure.reason()).isEqualTo(FailureReason.NOT_DELIVERED));
			assertThat(reasons(service, 1)).containsExactly("NOT_DELIVERED");
			patiently().until(() -> service.committed() == 1);
			assertThat(service.text().feeds()).hasSize(5);
		}
	}

	/** A reply topic that takes no text, but what is told of it. */
	@Test
	void chunkThatIsTooLargeForItsTopicIsToldAtOnce() {
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		TestBroker.createTopics(List.of(prefix + ".small"), 1, Map.of("max.message.bytes", "100"));
		try (ServiceUnderTest service = ServiceUnderTest.start(prefix,
				"calm.streaming.reply-topics=" + prefix + ".small")) {
			ProducerRecord<byte[], byte[]> poison = new ProducerRecord<>(service.requests(), TestBroker.bytes("poison"),
					ServiceUnderTest.FORMAT.write(TextRequest.of("3", (request) -> request.id("poison"))));
			poison.headers().add(KafkaHeaders.REPLY_TOPIC, TestBroker.bytes(prefix + ".small"));
			service.send(poison);
			service.send("next", "2");
			assertThat(service.chunks("next")).hasSize(2);
			assertThat(reasons(service, 1)).containsExactly("NOT_DELIVERED");
			patiently().until(() -> service.committed() == 2);
		}
	}

	@ParameterizedTest
	@ValueSource(strings = { "stream", "results", "share-group" })
	void fullEngineIsWaitedFor(String mode) {
		try (ServiceUnderTest service = ServiceUnderTest.start(1, "calm.streaming.mode=" + mode,
				"calm.streaming.topics.create=true", "calm.streaming.share.deliveries=2")) {
			service.text().busy().set(3);
			service.send("r", "2");
			assertThat(service.end("r").status()).isEqualTo(TextChunk.Status.COMPLETED);
			assertThat(service.text().busy()).hasValue(0);
		}
	}

	@Test
	void brokersThatDoNotSayWhatATopicHasAreAskedAgain() {
		Brokers brokers = new Brokers();
		try (ServiceUnderTest service = startWith(brokers)) {
			brokers.lostQuestions.set(2);
			assertThat(service.ask("r", "2").join()).hasSize(2);
			assertThat(brokers.lostQuestions).hasValue(0);
		}
	}

	@Test
	void errorEndsTheRequestAndNotTheService() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1, "calm.engine.slots=1")) {
			service.send("r", HandFedText.ERROR);
			service.send("next", "2");
			assertThat(service.end("r").failure()).isNotNull()
				.satisfies((failure) -> assertThat(failure.reason()).isEqualTo(FailureReason.MODEL_FAILED));
			assertThat(service.end("next").status()).isEqualTo(TextChunk.Status.COMPLETED);
			assertThat(reasons(service, 1)).containsExactly("MODEL_FAILED");
			patiently().until(() -> service.committed() == 2);
		}
	}

	@Test
	void requestWithTheSameKeyDoesNotEndTheFirstBeforeItsFirstChunk() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1);
				CalmKafkaClient other = CalmKafkaClient.create(TestBroker.connection(),
						(options) -> options.requests(service.requests())
							.chunks(service.prefix() + ".chunks")
							.control(service.prefix() + ".control"))) {
			CompletableFuture<List<TextChunk>> answer = service.ask("same", "feed");
			patiently().until(() -> !service.text().feeds().isEmpty());
			assertThatExceptionOfType(GenerationFailedException.class)
				.isThrownBy(() -> other.text("feed differently", (request) -> request.id("same")))
				.withMessageContaining("TOO_MANY_REQUESTS");
			assertThat(service.chunks("same")).hasSize(1);
			service.text().feeds().get(0).say("one").end(FinishReason.END);
			assertThat(answer.join()).extracting(TextChunk::text).containsExactly("one", ".");
		}
	}

	@Test
	void severalRequestsPerKeyIfTheyAreAllowed() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1, "calm.streaming.limits.requests-per-key=2")) {
			IntStream.range(0, 3).forEach((i) -> service.send("same", "feed " + i));
			assertThat(service.end("same").failure()).isNotNull()
				.satisfies((failure) -> assertThat(failure.reason()).isEqualTo(FailureReason.TOO_MANY_REQUESTS));
			assertThat(service.text().feeds()).hasSize(2);
			service.text().feeds().forEach((feed) -> feed.end(FinishReason.END));
			patiently().until(() -> service.committed() == 3);
		}
	}

	/**
	 * A commit that fails after a rebalance does so between the poll and the listener;
	 * the consumer's place is behind what was polled.
	 */
	@ParameterizedTest
	@ValueSource(strings = { "stream", "results" })
	void whatIsLostBetweenPollAndListenerIsPolledAgain(String mode) {
		LosingPolls losing = new LosingPolls("lost-first", "lost-later");
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		try (ServiceUnderTest service = ServiceUnderTest.start(prefix, new HandFedText(), List.of(losing),
				"calm.streaming.mode=" + mode)) {
			service.send("lost-first", "1");
			service.send("between", "1");
			service.send("lost-later", "1");
			service.send("last", "1");
			for (String id : List.of("lost-first", "between", "lost-later", "last")) {
				assertThat(service.end(id).status()).isEqualTo(TextChunk.Status.COMPLETED);
			}
			patiently().until(() -> service.committed() >= 4);
		}
		assertThat(losing.left()).isEmpty();
	}

	/** Consumers whose poll fails, once, after it has taken one of these requests. */
	private static final class LosingPolls implements DefaultKafkaConsumerFactoryCustomizer {

		private final Set<String> left;

		LosingPolls(String... ids) {
			this.left = new CopyOnWriteArraySet<>(List.of(ids));
		}

		Set<String> left() {
			return this.left;
		}

		@Override
		@SuppressWarnings({ "unchecked", "rawtypes" })
		public void customize(DefaultKafkaConsumerFactory<?, ?> factory) {
			factory.addPostProcessor(
					(ConsumerPostProcessor) (consumer) -> Proxy.newProxyInstance(getClass().getClassLoader(),
							new Class<?>[] { Consumer.class }, (proxy, method, given) -> {
								try {
									Object result = method.invoke(consumer, given);
									if (result instanceof ConsumerRecords<?, ?> records) {
										records.forEach(this::lose);
									}
									return result;
								}
								catch (InvocationTargetException ex) {
									throw ex.getCause();
								}
							}));
		}

		private void lose(ConsumerRecord<?, ?> record) {
			if (record.key() instanceof byte[] key && this.left.remove(new String(key, StandardCharsets.UTF_8))) {
				throw new CommitFailedException("for the test");
			}
		}

	}

	@Test
	void attemptsGrowForEver() {
		long latest = GroupConsumer.number(1, Integer.MAX_VALUE);
		assertThat(latest).isPositive();
		assertThat(GroupConsumer.number(1, Integer.MAX_VALUE + 1L)).isGreaterThan(latest);
		assertThat(GroupConsumer.number(1, 1L << Integer.SIZE)).isGreaterThan(latest);
		assertThat(GroupConsumer.number(2, 1)).isGreaterThan(GroupConsumer.number(1, 1_000_000));
	}

	/** An id is a key, which may be anything. */
	@Test
	@ExtendWith(OutputCaptureExtension.class)
	void logHasNoLineOfACaller(CapturedOutput output) {
		try (ServiceUnderTest service = ServiceUnderTest.start(1)) {
			service.send("a\nERROR forged", "feed");
			patiently().until(() -> !service.text().feeds().isEmpty());
			service.text().feeds().get(0).fail(new IllegalStateException("no"));
			service.end("a\nERROR forged");
			assertThat(output).contains(service.requests() + "-0@0").doesNotContain("forged");
		}
	}

	private static ServiceUnderTest startWith(Brokers brokers, String... properties) {
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		return ServiceUnderTest.start(prefix, new HandFedText(), List.of(brokers), properties);
	}

	private static List<String> reasons(ServiceUnderTest service, int letters) {
		return TestBroker.read(service.prefix() + ".dead-letters", (all) -> all.size() >= letters)
			.stream()
			.map((letter) -> new String(letter.headers().lastHeader(MessageHeaders.REASON).value(),
					StandardCharsets.UTF_8))
			.toList();
	}

}

package io.calm.streaming.service;

import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

import io.calm.generation.FinishReason;
import io.calm.streaming.FailureReason;
import io.calm.streaming.MessageHeaders;
import io.calm.streaming.TestBroker;
import io.calm.streaming.TextChunk;
import io.calm.streaming.TextRequest;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.Test;

import org.springframework.kafka.support.KafkaHeaders;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * Finished texts, exactly once.
 */
class ResultsModeTests {

	private static final String MODE = "calm.streaming.mode=results";

	private static ConditionFactory patiently() {
		return await().atMost(ServiceUnderTest.patience());
	}

	@Test
	void resultIsOneRecordWithTheWholeText() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1, MODE)) {
			List<TextChunk> answer = service.ask("one", "4").join();
			assertThat(answer).hasSize(1);
			assertThat(answer.get(0).text()).isEqualTo(" 0 1 2 3");
			assertThat(answer.get(0).tokens()).isEqualTo(4);
			assertThat(answer.get(0).end()).isEqualTo(new TextChunk.End(TextChunk.Status.COMPLETED,
					TextChunk.FinishReason.END, null, new TextChunk.Usage(1, 4), 1));
			patiently().until(() -> service.committed() == 1);
		}
	}

	@Test
	void resultsWaitForThoseBeforeThem() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1, MODE)) {
			service.send("first", "feed");
			CompletableFuture<List<TextChunk>> second = service.ask("second", "2");
			patiently().until(() -> service.service().inFlight().size() == 1 && !service.text().feeds().isEmpty());
			assertThat(second).isNotDone();
			service.text().feeds().get(0).end(FinishReason.END);
			assertThat(second.join()).hasSize(1);
			patiently().until(() -> service.committed() == 2);
		}
	}

	@Test
	void refusalAndItsDeadLetterAreInTheTransaction() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1, MODE)) {
			service.send(new ProducerRecord<>(service.requests(), TestBroker.bytes("bad"), TestBroker.bytes("bad")));
			assertThat(service.end("bad").failure()).isNotNull()
				.satisfies((failure) -> assertThat(failure.reason()).isEqualTo(FailureReason.INVALID_MESSAGE));
			assertThat(TestBroker.read(service.prefix() + ".dead-letters", (all) -> all.size() == 1)).hasSize(1);
			patiently().until(() -> service.committed() == 1);
		}
	}

	@Test
	void partitionsThatMoveNeitherLoseNorDouble() {
		try (ServiceUnderTest first = ServiceUnderTest.start(3, MODE)) {
			IntStream.range(0, 60).forEach((i) -> first.send("r" + i, Integer.toString(1 + i % 5)));
			ServiceUnderTest second = ServiceUnderTest.start(first.prefix(), MODE);
			IntStream.range(60, 120).forEach((i) -> first.send("r" + i, Integer.toString(1 + i % 5)));
			second.close();
			IntStream.range(120, 150).forEach((i) -> first.send("r" + i, Integer.toString(1 + i % 5)));
			first.send("last", "feed");
			patiently().until(() -> !first.text().feeds().isEmpty());
			first.text().feeds().forEach((feed) -> feed.end(FinishReason.END));
			List<String> ids = TestBroker.read(first.prefix() + ".chunks", (all) -> all.size() >= 151)
				.stream()
				.map((record) -> ServiceUnderTest.FORMAT.readChunk(record.value()).requestId())
				.toList();
			assertThat(ids).doesNotHaveDuplicates().hasSize(151);
		}
	}

	@Test
	void keyThatDoesNotFitTwiceStopsNobody() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1, MODE)) {
			service.send(new ProducerRecord<>(service.requests(), new byte[600_000], TestBroker.bytes("{}")));
			service.send("next", "2");
			assertThat(service.end("next").status()).isEqualTo(TextChunk.Status.COMPLETED);
			assertThat(service.end(service.requests() + "-0@0").failure()).isNotNull()
				.satisfies((failure) -> assertThat(failure.reason()).isEqualTo(FailureReason.LIMIT_EXCEEDED));
			patiently().until(() -> service.committed() == 2);
		}
	}

	@Test
	void recordThatFillsATopicStopsNobody() {
		try (ServiceUnderTest service = ServiceUnderTest.start(1, MODE)) {
			ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(service.requests(), TestBroker.bytes("full"),
					new byte[1_048_400]);
			service.send(record);
			service.send("next", "2");
			assertThat(service.end("next").status()).isEqualTo(TextChunk.Status.COMPLETED);
			ConsumerRecord<byte[], byte[]> letter = TestBroker
				.read(service.prefix() + ".dead-letters", (all) -> !all.isEmpty())
				.get(0);
			assertThat(letter.headers().lastHeader(MessageHeaders.OMITTED_SIZE).value())
				.isEqualTo(TestBroker.bytes("1048400"));
			patiently().until(() -> service.committed() == 2);
		}
	}

	/** Neither in another partition nor behind it in its own. */
	@Test
	void replyTopicThatTakesNothingStopsNobody() {
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 2);
		TestBroker.createTopics(List.of(prefix + ".tiny"), 1, Map.of("max.message.bytes", "100"));
		try (ServiceUnderTest service = ServiceUnderTest.start(prefix, MODE,
				"calm.streaming.reply-topics=" + prefix + ".tiny")) {
			ProducerRecord<byte[], byte[]> poison = new ProducerRecord<>(service.requests(), 0,
					TestBroker.bytes("poison"), request("3"));
			poison.headers().add(KafkaHeaders.REPLY_TOPIC, TestBroker.bytes(prefix + ".tiny"));
			service.send(new ProducerRecord<>(service.requests(), 0, TestBroker.bytes("first"), request("feed")));
			service.send(poison);
			service.send(new ProducerRecord<>(service.requests(), 0, TestBroker.bytes("behind"), request("2")));
			patiently().until(() -> service.service().inFlight().size() == 1 && !service.text().feeds().isEmpty());
			// the three of them at once
			service.text().feeds().get(0).end(FinishReason.END);
			service.send(new ProducerRecord<>(service.requests(), 1, TestBroker.bytes("beside"), request("2")));
			for (String id : List.of("first", "behind", "beside")) {
				assertThat(service.end(id).status()).isEqualTo(TextChunk.Status.COMPLETED);
			}
			List<ConsumerRecord<byte[], byte[]>> letters = TestBroker.read(prefix + ".dead-letters",
					(all) -> !all.isEmpty());
			assertThat(letters).singleElement()
				.satisfies((letter) -> assertThat(letter.key()).isEqualTo(TestBroker.bytes("poison")))
				.satisfies((letter) -> assertThat(letter.headers().lastHeader(MessageHeaders.REASON).value())
					.isEqualTo(TestBroker.bytes("NOT_DELIVERED")));
			patiently().until(() -> TestBroker.committed(prefix, service.requests(), 0) == 3);
			patiently().until(() -> TestBroker.committed(prefix, service.requests(), 1) == 1);
		}
	}

	@Test
	void resultIsOneAlthoughTheAnswerToItsCommitIsLost() {
		Brokers brokers = new Brokers();
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		try (ServiceUnderTest service = ServiceUnderTest.start(prefix, new HandFedText(), List.of(brokers), MODE)) {
			brokers.lostCommits.set(2);
			service.send("first", "2");
			patiently().until(() -> brokers.lostCommits.get() == 1);
			service.send("second", "2");
			patiently().until(() -> brokers.lostCommits.get() == 0);
			service.send("last", "2");
			service.end("last");
			assertThat(ids(service)).containsExactly("first", "second", "last");
			patiently().until(() -> service.committed() == 3);
		}
	}

	/**
	 * The first service stands still for longer than the poll interval, and does not know
	 * that its partition is somebody else's, while its texts end.
	 */
	@Test
	void resultOfAServiceThatHasLostItsPartitionIsRefused() {
		StandingStill still = new StandingStill();
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		try (ServiceUnderTest first = ServiceUnderTest.start(prefix, new HandFedText(), List.of(still), MODE,
				"spring.kafka.consumer.properties.max.poll.interval.ms=6000")) {
			first.send("both", "feed");
			patiently().until(() -> !first.text().feeds().isEmpty());
			first.send(StandingStill.ID, "1");
			patiently().until(still::stands);
			try (ServiceUnderTest second = ServiceUnderTest.start(prefix, MODE)) {
				patiently().until(() -> !second.text().feeds().isEmpty());
				Logged logged = Logged.of(ResultPublisher.class);
				first.text().feeds().get(0).say("the zombie's").end(FinishReason.END);
				patiently().until(() -> logged.contains("could not be published"));
				second.text().feeds().get(0).say("the owner's").end(FinishReason.END);
				second.end(StandingStill.ID);
				assertThat(ids(second)).containsExactly("both", StandingStill.ID);
				assertThat(second.chunks("both").get(0).text()).isEqualTo("the owner's.");
				still.goOn();
				patiently().until(() -> first.service().inFlight().isEmpty());
				assertThat(ids(second)).containsExactly("both", StandingStill.ID);
			}
		}
	}

	@Test
	void nothingGoesOnAfterTheEnd() {
		ServiceUnderTest service = ServiceUnderTest.start(1, MODE);
		service.send("r", "2");
		service.end("r");
		service.close();
		patiently().until(() -> Thread.getAllStackTraces()
			.keySet()
			.stream()
			.noneMatch((thread) -> thread.isAlive() && thread.getName().startsWith("calm-results")));
	}

	private static byte[] request(String prompt) {
		return ServiceUnderTest.FORMAT.write(TextRequest.of(prompt, (request) -> {
		}));
	}

	private static List<String> ids(ServiceUnderTest service) {
		return TestBroker.read(service.prefix() + ".chunks", (all) -> true)
			.stream()
			.map((record) -> ServiceUnderTest.FORMAT.readChunk(record.value()).requestId())
			.toList();
	}

}

package io.calm.streaming.service;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.stream.IntStream;

import io.calm.generation.FinishReason;
import io.calm.streaming.FailureReason;
import io.calm.streaming.TestBroker;
import io.calm.streaming.TextChunk;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.awaitility.core.ConditionFactory;
import org.junit.jupiter.api.Test;

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

}

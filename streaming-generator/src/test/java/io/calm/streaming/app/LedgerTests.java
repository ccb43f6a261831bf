package io.calm.streaming.app;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;

import io.calm.streaming.FailureReason;
import io.calm.streaming.JsonMessageFormat;
import io.calm.streaming.TextChunk;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.apache.kafka.common.record.TimestampType;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

import org.springframework.kafka.support.KafkaHeaders;

import static io.calm.streaming.app.Ledger.Wrong.CHANGED;
import static io.calm.streaming.app.Ledger.Wrong.DOUBLED;
import static io.calm.streaming.app.Ledger.Wrong.LOST;
import static io.calm.streaming.app.Ledger.Wrong.MISPLACED;
import static io.calm.streaming.app.Ledger.Wrong.REORDERED;
import static org.assertj.core.api.Assertions.assertThat;

/**
 * The ledger sees what is wrong, and nothing where all is right.
 */
class LedgerTests {

	private static final int PARTITION = 3;

	private Ledger ledger = new Ledger("stream");

	private static byte[] bytes(String text) {
		return text.getBytes(StandardCharsets.UTF_8);
	}

	private static ConsumerRecord<byte[], byte[]> record(int partition, long offset, String id, byte[] value,
			Headers headers) {
		return new ConsumerRecord<>("topic", partition, offset, 0, TimestampType.CREATE_TIME, 0, 0, bytes(id), value,
				headers, Optional.empty());
	}

	private void ask(String id, Ledger.Kind kind, long offset) {
		this.ledger.asks(id, kind);
		this.ledger.request(record(0, offset, id, bytes("request"),
				new RecordHeaders().add(KafkaHeaders.REPLY_PARTITION, ByteBuffer.allocate(4).putInt(PARTITION).array())
					.add(KafkaHeaders.CORRELATION_ID, bytes(id))));
		if (kind != Ledger.Kind.REFUSED) {
			this.ledger.expects(id, "ab.");
		}
		this.ledger.answered(id, "ab.");
	}

	private void chunk(String id, long attempt, int seq, String text) {
		write(new TextChunk(id, attempt, seq, text, 1, null));
	}

	private void end(String id, long attempt, int seq, String text, TextChunk.Status status) {
		TextChunk.Failure failure = (status == TextChunk.Status.FAILED)
				? new TextChunk.Failure(FailureReason.INVALID_VALUE, "") : null;
		write(new TextChunk(id, attempt, seq, text, 1,
				new TextChunk.End(status, null, failure, new TextChunk.Usage(1, 1), seq + 1)));
	}

	private void end(String id, long attempt, int seq) {
		end(id, attempt, seq, ".", TextChunk.Status.COMPLETED);
	}

	private void result(String id) {
		end(id, 1, 0, "ab.", TextChunk.Status.COMPLETED);
	}

	private void write(TextChunk chunk) {
		write(chunk, PARTITION, chunk.requestId());
	}

	private void write(TextChunk chunk, int partition, @Nullable String correlation) {
		Headers headers = new RecordHeaders();
		if (correlation != null) {
			headers.add(KafkaHeaders.CORRELATION_ID, bytes(correlation));
		}
		this.ledger.chunk(record(partition, 0, chunk.requestId(), new JsonMessageFormat().write(chunk), headers));
	}

	private void letter(String id) {
		this.ledger.letter(record(0, 0, id, bytes("request"), new RecordHeaders()));
	}

	private void assertFound(Ledger.Wrong... wrong) {
		Map<Ledger.Wrong, List<String>> findings = this.ledger.findings();
		assertThat(findings).containsOnlyKeys(wrong);
	}

	@Test
	void interruptedTextIsNoFault() {
		ask("r", Ledger.Kind.WHOLE, 0);
		chunk("r", 1, 0, "a");
		chunk("r", 2, 0, "a");
		chunk("r", 1, 1, "b");
		chunk("r", 2, 1, "b");
		end("r", 2, 2);
		end("r", 1, 2);
		assertFound();
		assertThat(this.ledger).hasToString("1 requests, ended {COMPLETED=1}, 2 attempts, 0 of them void, 6 records,"
				+ " 0 repeated; lost 0, doubled 0, reordered 0, misplaced 0, changed 0");
	}

	@Test
	void textWithoutAnEnd() {
		ask("r", Ledger.Kind.WHOLE, 0);
		chunk("r", 1, 0, "a");
		assertFound(LOST);
	}

	@Test
	void endOfASmallerAttemptIsNone() {
		ask("r", Ledger.Kind.WHOLE, 0);
		chunk("r", 2, 0, "a");
		chunk("r", 1, 0, "a");
		chunk("r", 1, 1, "b");
		end("r", 1, 2);
		assertFound(LOST);
	}

	@Test
	void endBehindAGap() {
		ask("r", Ledger.Kind.WHOLE, 0);
		chunk("r", 1, 0, "a");
		end("r", 1, 2);
		chunk("r", 2, 0, "a");
		chunk("r", 2, 1, "b");
		end("r", 2, 2);
		assertFound(LOST);
	}

	@Test
	void requestThatWasNeverSent() {
		this.ledger.asks("r", Ledger.Kind.WHOLE);
		assertFound(LOST);
	}

	@Test
	void callerWhoIsToldNothing() {
		this.ledger.asks("r", Ledger.Kind.WHOLE);
		this.ledger.request(record(0, 0, "r", bytes("request"), new RecordHeaders()));
		write(new TextChunk("r", 1, 0, "", 0,
				new TextChunk.End(TextChunk.Status.COMPLETED, null, null, new TextChunk.Usage(1, 1), 1)), 0, null);
		assertFound(LOST);
	}

	@Test
	void failureOfWhatCouldBeDone() {
		ask("r", Ledger.Kind.WHOLE, 0);
		end("r", 1, 0, "", TextChunk.Status.FAILED);
		letter("r");
		assertFound(LOST);
	}

	@Test
	void refusalWithoutADeadLetter() {
		ask("r", Ledger.Kind.REFUSED, 0);
		end("r", 1, 0, "", TextChunk.Status.FAILED);
		assertFound(LOST);
	}

	@Test
	void refusal() {
		ask("r", Ledger.Kind.REFUSED, 0);
		end("r", 1, 0, "", TextChunk.Status.FAILED);
		letter("r");
		assertFound();
	}

	@Test
	void secondEndOfAnAttempt() {
		ask("r", Ledger.Kind.WHOLE, 0);
		chunk("r", 1, 0, "a");
		chunk("r", 1, 1, "b");
		end("r", 1, 2);
		end("r", 1, 2);
		assertFound(DOUBLED);
	}

	@Test
	void chunkBeforeItsPredecessor() {
		ask("r", Ledger.Kind.WHOLE, 0);
		chunk("r", 1, 1, "b");
		chunk("r", 1, 0, "a");
		chunk("r", 2, 0, "a");
		chunk("r", 2, 1, "b");
		end("r", 2, 2);
		assertFound(REORDERED);
	}

	@Test
	void anotherText() {
		ask("r", Ledger.Kind.WHOLE, 0);
		chunk("r", 1, 0, "A");
		chunk("r", 2, 0, "a");
		chunk("r", 2, 1, "b");
		end("r", 2, 2);
		assertFound(CHANGED);
	}

	@Test
	void chunkOfNobody() {
		chunk("r", 1, 0, "a");
		assertFound(MISPLACED);
	}

	@Test
	void chunkInAnotherPartitionOrWithTheHeadersOfAnother() {
		ask("r", Ledger.Kind.WHOLE, 0);
		chunk("r", 1, 0, "a");
		chunk("r", 1, 1, "b");
		end("r", 1, 2);
		TextChunk chunk = new TextChunk("r", 1, 0, "a", 1, null);
		write(chunk, PARTITION + 1, "r");
		write(chunk, PARTITION, "s");
		assertFound(MISPLACED);
		assertThat(this.ledger.findings().get(MISPLACED)).hasSize(2);
	}

	@Test
	void results() {
		this.ledger = new Ledger("results");
		ask("r", Ledger.Kind.WHOLE, 0);
		ask("s", Ledger.Kind.WHOLE, 1);
		result("r");
		result("s");
		assertFound();
	}

	@Test
	void secondResult() {
		this.ledger = new Ledger("results");
		ask("r", Ledger.Kind.WHOLE, 0);
		result("r");
		result("r");
		assertFound(DOUBLED);
	}

	@Test
	void secondDeadLetterOfAResult() {
		this.ledger = new Ledger("results");
		ask("r", Ledger.Kind.REFUSED, 0);
		end("r", 1, 0, "", TextChunk.Status.FAILED);
		letter("r");
		letter("r");
		assertFound(DOUBLED);
	}

	@Test
	void resultBehindThatOfALaterRequest() {
		this.ledger = new Ledger("results");
		ask("r", Ledger.Kind.WHOLE, 0);
		ask("s", Ledger.Kind.WHOLE, 1);
		result("s");
		result("r");
		assertFound(REORDERED);
	}

}

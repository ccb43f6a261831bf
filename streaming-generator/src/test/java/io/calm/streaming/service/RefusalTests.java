package io.calm.streaming.service;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import io.calm.streaming.FailureReason;
import io.calm.streaming.MessageHeaders;
import io.calm.streaming.TestBroker;
import io.calm.streaming.TextChunk;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import org.springframework.kafka.support.KafkaHeaders;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * What cannot be served is told to its caller and kept, and the next request is served.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class RefusalTests {

	private ServiceUnderTest service = notYetStarted();

	private int served;

	@SuppressWarnings("NullAway")
	private static ServiceUnderTest notYetStarted() {
		return null;
	}

	@BeforeAll
	void start() {
		String prefix = TestBroker.prefix();
		TestBroker.createTopics(prefix, 1);
		TestBroker.createTopics(List.of(prefix + ".mine"), 2);
		this.service = ServiceUnderTest.start(prefix, "calm.streaming.limits.prompt-tokens=1000",
				"calm.streaming.reply-topics=" + prefix + ".mine", "calm.streaming.cloud-events=true");
	}

	@AfterAll
	void stop() {
		this.service.close();
	}

	private void assertRefused(@Nullable String key, byte @Nullable [] value, Map<String, byte[]> headers,
			FailureReason reason, String message) {
		ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(this.service.requests(),
				(key != null) ? TestBroker.bytes(key) : null, value);
		headers.forEach(record.headers()::add);
		this.service.send(record);
		ConsumerRecord<byte[], byte[]> letter = deadLetter(value);
		assertThat(header(letter, MessageHeaders.REASON)).isEqualTo(reason.name());
		assertThat(header(letter, MessageHeaders.MESSAGE)).contains(message).doesNotContain("secret");
		assertThat(header(letter, KafkaHeaders.DLT_ORIGINAL_TOPIC)).isEqualTo(this.service.requests());
		long offset = ByteBuffer
			.wrap(Objects.requireNonNull(letter.headers().lastHeader(KafkaHeaders.DLT_ORIGINAL_OFFSET)).value())
			.getLong();
		assertThat(letter.key()).isEqualTo(record.key());
		String id = (key != null) ? key : this.service.requests() + "-0@" + offset;
		List<TextChunk> told = this.service.chunks(id);
		assertThat(told).hasSize(1);
		TextChunk.End end = Objects.requireNonNull(told.get(0).end());
		assertThat(end.status()).isEqualTo(TextChunk.Status.FAILED);
		assertThat(end.failure()).isNotNull()
			.satisfies((failure) -> assertThat(failure.reason()).isEqualTo(reason))
			.satisfies((failure) -> assertThat(failure.message()).contains(message).doesNotContain("secret"));
		assertNextIsServed();
	}

	private ConsumerRecord<byte[], byte[]> deadLetter(byte @Nullable [] value) {
		List<ConsumerRecord<byte[], byte[]>> letters = TestBroker.read(this.service.prefix() + ".dead-letters",
				(all) -> all.stream().anyMatch((each) -> Arrays.equals(each.value(), value)));
		return letters.stream().filter((each) -> Arrays.equals(each.value(), value)).findFirst().orElseThrow();
	}

	private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
		return new String(Objects.requireNonNull(record.headers().lastHeader(name), name).value(),
				StandardCharsets.UTF_8);
	}

	private void assertNextIsServed() {
		String id = "next" + this.served++;
		this.service.send(id, "2");
		assertThat(this.service.end(id).status()).isEqualTo(TextChunk.Status.COMPLETED);
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', quoteCharacter = '\0',
			textBlock = """
					not JSON          | secret                                                | INVALID_MESSAGE     | is not JSON
					half JSON         | {"version": 1, "prompt": "secret                      | INVALID_MESSAGE     | is not JSON
					an array          | ["secret"]                                            | INVALID_MESSAGE     | is not a JSON object
					nothing           | {}                                                    | UNSUPPORTED_VERSION | version
					the next version  | {"version": 2, "prompt": "secret"}                    | UNSUPPORTED_VERSION | version
					version as text   | {"version": "1", "prompt": "secret"}                  | UNSUPPORTED_VERSION | version
					no prompt         | {"version": 1}                                        | INVALID_MESSAGE     | prompt
					prompt as number  | {"version": 1, "prompt": 1}                           | INVALID_MESSAGE     | prompt
					unknown field     | {"version": 1, "prompt": "secret", "topP": 0.9}       | INVALID_MESSAGE     | topP
					twice the prompt  | {"version": 1, "prompt": "secret", "prompt": "x"}     | INVALID_MESSAGE     | is not JSON
					two values        | {"version": 1, "prompt": "secret"} 2                  | INVALID_MESSAGE     | is not JSON
					tokens as text    | {"version": 1, "prompt": "secret", "maxNewTokens": "many"} | INVALID_MESSAGE | maxNewTokens
					too many digits   | {"version": 1, "prompt": "secret", "maxNewTokens": 99999999999} | INVALID_MESSAGE | maxNewTokens
					null              | {"version": 1, "prompt": "secret", "temperature": null} | INVALID_MESSAGE   | temperature
					negative tokens   | {"version": 1, "prompt": "secret", "maxNewTokens": -1} | INVALID_VALUE      | max new tokens
					no candidates     | {"version": 1, "prompt": "secret", "candidates": 0}   | INVALID_VALUE       | candidates
					hot               | {"version": 1, "prompt": "secret", "temperature": 1.5} | INVALID_VALUE      | temperature
					below zero        | {"version": 1, "prompt": "secret", "temperature": -0.5} | INVALID_VALUE     | temperature
					empty stop        | {"version": 1, "prompt": "secret", "stop": [""]}      | INVALID_VALUE       | stop
					too long a text   | {"version": 1, "prompt": "secret", "maxNewTokens": 5000} | LIMIT_EXCEEDED   | new tokens
					too many draws    | {"version": 1, "prompt": "secret", "candidates": 100000} | LIMIT_EXCEEDED   | candidates
					too cold          | {"version": 1, "prompt": "secret", "temperature": 0.001} | LIMIT_EXCEEDED   | temperature
					""")
	void value(String name, String value, FailureReason reason, String message) {
		assertRefused(name, TestBroker.bytes(value), Map.of(), reason, message);
	}

	@Test
	void noValue() {
		assertRefused("empty", null, Map.of(), FailureReason.INVALID_MESSAGE, "no value");
	}

	@Test
	void noKey() {
		assertRefused(null, TestBroker.bytes("{\"version\": 1, \"prompt\": \"no key\"}"), Map.of(),
				FailureReason.MISSING_KEY, "no key");
	}

	@Test
	void longPrompt() {
		assertRefused("long", TestBroker.bytes("{\"version\": 1, \"prompt\": \"" + "x".repeat(1001) + "\"}"), Map.of(),
				FailureReason.LIMIT_EXCEEDED, "1001 tokens of the prompt");
	}

	@Test
	void fiveMegabytes() {
		assertRefused("large", TestBroker.bytes("{\"version\": 1, \"prompt\": \"" + "y".repeat(5 << 20) + "\"}"),
				Map.of(), FailureReason.LIMIT_EXCEEDED, "bytes of the value");
	}

	@Test
	void replyTopicThatIsNotAllowed() {
		assertRefused("elsewhere", request("a"),
				Map.of(KafkaHeaders.REPLY_TOPIC, TestBroker.bytes("__consumer_offsets")),
				FailureReason.REPLY_NOT_ALLOWED, KafkaHeaders.REPLY_TOPIC);
	}

	@Test
	void replyPartitionThatIsNotThere() {
		assertRefused("partition", request("b"), Map.of(KafkaHeaders.REPLY_PARTITION, partition(7)),
				FailureReason.REPLY_NOT_ALLOWED, "partition 7");
		assertRefused("no partition", request("c"), Map.of(KafkaHeaders.REPLY_PARTITION, TestBroker.bytes("7")),
				FailureReason.REPLY_NOT_ALLOWED, KafkaHeaders.REPLY_PARTITION);
	}

	@Test
	void deadline() {
		assertRefused("late", request("d"),
				Map.of(MessageHeaders.DEADLINE,
						TestBroker.bytes(Long.toString(Instant.now().minusSeconds(1).toEpochMilli()))),
				FailureReason.DEADLINE_PASSED, "deadline");
		assertRefused("never", request("e"), Map.of(MessageHeaders.DEADLINE, TestBroker.bytes("tomorrow")),
				FailureReason.INVALID_MESSAGE, MessageHeaders.DEADLINE);
	}

	@Test
	void chosenReplyTopicAndHeadersAreHonoured() {
		String topic = this.service.prefix() + ".mine";
		ProducerRecord<byte[], byte[]> request = new ProducerRecord<>(this.service.requests(),
				TestBroker.bytes("chosen"), request("3"));
		request.headers()
			.add(KafkaHeaders.REPLY_TOPIC, TestBroker.bytes(topic))
			.add(KafkaHeaders.REPLY_PARTITION, partition(1))
			.add(KafkaHeaders.CORRELATION_ID, new byte[] { 1, 2, 3 })
			.add("traceparent", TestBroker.bytes("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
			.add("private", TestBroker.bytes("to the service"));
		this.service.send(request);
		List<ConsumerRecord<byte[], byte[]>> chunks = TestBroker.read(topic, (all) -> all.size() == 3);
		assertThat(chunks).allSatisfy((chunk) -> {
			assertThat(chunk.partition()).isEqualTo(1);
			assertThat(chunk.key()).isEqualTo(TestBroker.bytes("chosen"));
			assertThat(Objects.requireNonNull(chunk.headers().lastHeader(KafkaHeaders.CORRELATION_ID)).value())
				.containsExactly(1, 2, 3);
			assertThat(header(chunk, "traceparent")).startsWith("00-0af7");
			assertThat(header(chunk, "content-type")).isEqualTo("application/json");
			assertThat(header(chunk, "ce_specversion")).isEqualTo("1.0");
			assertThat(header(chunk, "ce_id")).startsWith("chosen/");
			assertThat(chunk.headers().lastHeader("private")).isNull();
		});
		assertThat(chunks).extracting((chunk) -> header(chunk, "ce_type"))
			.containsExactly("io.calm.text.chunk", "io.calm.text.chunk", "io.calm.text.end");
	}

	private static byte[] request(String prompt) {
		return TestBroker.bytes("{\"version\": 1, \"prompt\": \"" + prompt + "\"}");
	}

	private static byte[] partition(int number) {
		return ByteBuffer.allocate(Integer.BYTES).putInt(number).array();
	}

}

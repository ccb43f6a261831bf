package io.calm.streaming.service;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import io.calm.generation.FinishReason;
import io.calm.streaming.FailureReason;
import io.calm.streaming.MessageHeaders;
import io.calm.streaming.TestBroker;
import io.calm.streaming.TextChunk;
import io.calm.streaming.TextRequest;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import org.springframework.kafka.support.KafkaHeaders;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

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
		TestBroker.createTopics(List.of(prefix + ".chunks", prefix + ".control", prefix + ".dead-letters"), 1);
		// takes more than what is written of it
		TestBroker.createTopics(List.of(prefix + ".requests"), 1, Map.of("max.message.bytes", "16777216"));
		TestBroker.createTopics(List.of(prefix + ".mine"), 2);
		this.service = ServiceUnderTest.start(prefix, "calm.streaming.limits.prompt-tokens=1000",
				"calm.streaming.limits.deadline=1h", "calm.streaming.reply-topics=" + prefix + ".mine",
				"calm.streaming.cloud-events=true");
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
		long offset = this.service.latest() - 1;
		ConsumerRecord<byte[], byte[]> letter = deadLetter(offset);
		assertThat(header(letter, MessageHeaders.REASON)).isEqualTo(reason.name());
		assertThat(header(letter, MessageHeaders.MESSAGE)).contains(message).doesNotContain("secret");
		assertThat(header(letter, KafkaHeaders.DLT_ORIGINAL_TOPIC)).isEqualTo(this.service.requests());
		assertThat(letter.value()).isEqualTo(value);
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

	private ConsumerRecord<byte[], byte[]> deadLetter(long offset) {
		List<ConsumerRecord<byte[], byte[]>> letters = TestBroker.read(this.service.prefix() + ".dead-letters",
				(all) -> all.stream().anyMatch((each) -> originalOffset(each) == offset));
		return letters.stream().filter((each) -> originalOffset(each) == offset).findFirst().orElseThrow();
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
		byte[] value = TestBroker.bytes("{\"version\": 1, \"prompt\": \"" + "y".repeat(5 << 20) + "\"}");
		ConsumerRecord<byte[], byte[]> letter = assertRefusedLarge(
				new ProducerRecord<>(this.service.requests(), TestBroker.bytes("large"), value), "large",
				"bytes of the value");
		assertThat(letter.key()).isEqualTo(TestBroker.bytes("large"));
		assertThat(header(letter, MessageHeaders.OMITTED_SIZE)).isEqualTo(Integer.toString(value.length));
		assertThat(header(letter, "private")).isEqualTo("to the service");
	}

	@Test
	void longKey() {
		byte[] key = new byte[600_000];
		Arrays.fill(key, (byte) 'k');
		ConsumerRecord<byte[], byte[]> letter = assertRefusedLarge(
				new ProducerRecord<>(this.service.requests(), key, request("long key")), null, "bytes of the key");
		assertThat(letter.key()).isEqualTo(key);
		assertThat(letter.value()).isEqualTo(request("long key"));
	}

	/** As many bytes as the dead letter may have that has more headers. */
	@Test
	void keyThatFillsARecord() {
		byte[] key = new byte[1_048_300];
		Arrays.fill(key, (byte) '\u0001');
		ConsumerRecord<byte[], byte[]> letter = assertRefusedLarge(
				new ProducerRecord<>(this.service.requests(), key, request("longer key")), null, "bytes of the key");
		assertThat(letter.key()).isNull();
		assertThat(letter.value()).isNull();
	}

	@Test
	void headerThatFillsARecord() {
		ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(this.service.requests(), null,
				TestBroker.bytes("x"));
		record.headers().add("x", new byte[1_048_320]);
		ConsumerRecord<byte[], byte[]> letter = assertRefusedLarge(record, null, "no key");
		assertThat(letter.headers().lastHeader("x")).isNull();
		assertThat(header(letter, MessageHeaders.OMITTED_SIZE)).isEqualTo("1");
	}

	@ParameterizedTest
	@CsvSource({ "baggage,10000,of the header baggage", "x,20000,of all headers", "tracestate,20000,of all headers" })
	void largeHeader(String name, int size, String message) {
		ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(this.service.requests(),
				TestBroker.bytes("with " + name), request("2"));
		record.headers().add(name, new byte[size]);
		assertRefusedLarge(record, "with " + name, message);
		List<ConsumerRecord<byte[], byte[]>> told = TestBroker.read(this.service.prefix() + ".chunks",
				(all) -> all.stream().anyMatch((each) -> Arrays.equals(each.key(), record.key())));
		assertThat(told).filteredOn((each) -> Arrays.equals(each.key(), record.key()))
			.allSatisfy((each) -> assertThat(each.headers().lastHeader(name)).isNull());
	}

	@Test
	void manyHeaders() {
		ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(this.service.requests(),
				TestBroker.bytes("many headers"), request("2"));
		for (int i = 0; i < 20_000; i++) {
			record.headers().add("", new byte[0]);
		}
		assertRefusedLarge(record, "many headers", "bytes of all headers");
	}

	/** Told, kept, and the next one is served, whatever was too large. */
	private ConsumerRecord<byte[], byte[]> assertRefusedLarge(ProducerRecord<byte[], byte[]> record,
			@Nullable String id, String message) {
		record.headers().add("private", TestBroker.bytes("to the service"));
		this.service.send(record);
		long offset = this.service.latest() - 1;
		String told = (id != null) ? id : this.service.requests() + "-0@" + offset;
		assertThat(this.service.end(told).failure()).isNotNull()
			.satisfies((failure) -> assertThat(failure.message()).contains(message));
		assertNextIsServed();
		return deadLetter(offset);
	}

	private static long originalOffset(ConsumerRecord<byte[], byte[]> letter) {
		return ByteBuffer
			.wrap(Objects.requireNonNull(letter.headers().lastHeader(KafkaHeaders.DLT_ORIGINAL_OFFSET)).value())
			.getLong();
	}

	@Test
	void stopStrings() {
		assertRefused("many stops", stops(17, 1), Map.of(), FailureReason.LIMIT_EXCEEDED, "17 stop strings");
		assertRefused("long stop", stops(1, 1001), Map.of(), FailureReason.LIMIT_EXCEEDED,
				"1001 characters of a stop string");
	}

	private static byte[] stops(int count, int length) {
		return ServiceUnderTest.FORMAT.write(TextRequest.of("2",
				(request) -> request.stop(Collections.nCopies(count, "s".repeat(length)).toArray(String[]::new))));
	}

	@ParameterizedTest
	@ValueSource(longs = { Long.MAX_VALUE, 253402300799000L, 1790000000000000L })
	void deadlineThatNoClockReachesIsNone(long deadline) {
		ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(this.service.requests(),
				TestBroker.bytes("never " + deadline), request("feed " + deadline));
		record.headers().add(MessageHeaders.DEADLINE, TestBroker.bytes(Long.toString(deadline)));
		this.service.send(record);
		assertBegunWithAtMostAnHour("feed " + deadline);
	}

	/** The caller's own clock is not what the service's limit is counted from. */
	@Test
	void recordOfTheFutureGetsNoMoreTimeThanOthers() {
		this.service.send(new ProducerRecord<>(this.service.requests(), null,
				Instant.now().plusSeconds(3000).toEpochMilli(), TestBroker.bytes("future"), request("feed future")));
		assertBegunWithAtMostAnHour("feed future");
	}

	private void assertBegunWithAtMostAnHour(String prompt) {
		await().atMost(ServiceUnderTest.patience()).until(() -> !this.service.text().feeds(prompt).isEmpty());
		HandFedText.Feed feed = this.service.text().feeds(prompt).get(0);
		assertThat(feed.request().deadline()).isBetween(Duration.ofMinutes(59), Duration.ofHours(1));
		feed.end(FinishReason.END);
	}

	@Test
	void deadlineThatPassesInTheQueue() {
		this.service.send("queued", "feed queued");
		long offset = this.service.latest() - 1;
		await().atMost(ServiceUnderTest.patience()).until(() -> !this.service.text().feeds("feed queued").isEmpty());
		this.service.text().feeds("feed queued").get(0).expire();
		assertThat(this.service.end("queued").failure()).isNotNull()
			.satisfies((failure) -> assertThat(failure.reason()).isEqualTo(FailureReason.DEADLINE_PASSED));
		assertThat(header(deadLetter(offset), MessageHeaders.REASON)).isEqualTo("DEADLINE_PASSED");
	}

	@Test
	void refusalGoesWhereItsCallerListens() {
		String topic = this.service.prefix() + ".mine";
		this.service.send("mine", "feed mine");
		await().atMost(ServiceUnderTest.patience()).until(() -> !this.service.text().feeds("feed mine").isEmpty());
		ProducerRecord<byte[], byte[]> second = new ProducerRecord<>(this.service.requests(), TestBroker.bytes("mine"),
				request("another"));
		second.headers()
			.add(KafkaHeaders.REPLY_TOPIC, TestBroker.bytes(topic))
			.add(KafkaHeaders.REPLY_PARTITION, partition(1));
		this.service.send(second);
		ProducerRecord<byte[], byte[]> nameless = new ProducerRecord<>(this.service.requests(), null,
				request("nobody's"));
		nameless.headers().add(KafkaHeaders.REPLY_TOPIC, TestBroker.bytes(topic));
		this.service.send(nameless);
		assertThat(reasons(TestBroker.read(topic, (all) -> reasons(all).size() == 2)))
			.containsExactlyInAnyOrder("TOO_MANY_REQUESTS", "MISSING_KEY");
		this.service.text().feeds("feed mine").get(0).end(FinishReason.END);
		assertThat(this.service.chunks("mine")).hasSize(1);
	}

	private static List<String> reasons(List<ConsumerRecord<byte[], byte[]>> records) {
		return records.stream()
			.map((record) -> ServiceUnderTest.FORMAT.readChunk(record.value()).end())
			.filter(Objects::nonNull)
			.map(TextChunk.End::failure)
			.filter(Objects::nonNull)
			.map((failure) -> failure.reason().name())
			.toList();
	}

	@Test
	void deadLetterThatIsSentInAgainGathersNoHeaders() {
		byte[] value = TestBroker.bytes("no JSON, three times");
		ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(this.service.requests(), TestBroker.bytes("again"),
				value);
		for (int times = 1; times <= 3; times++) {
			int number = times;
			this.service.send(record);
			List<ConsumerRecord<byte[], byte[]>> letters = TestBroker
				.read(this.service.prefix() + ".dead-letters",
						(all) -> all.stream().filter((each) -> Arrays.equals(each.value(), value)).count() == number)
				.stream()
				.filter((each) -> Arrays.equals(each.value(), value))
				.toList();
			ConsumerRecord<byte[], byte[]> letter = letters.get(times - 1);
			assertThat(originalOffset(letter)).isEqualTo(this.service.latest() - 1);
			assertThat(Arrays.stream(letter.headers().toArray()).map(Header::key)).doesNotHaveDuplicates();
			record = new ProducerRecord<>(this.service.requests(), null, letter.key(), letter.value(),
					letter.headers());
		}
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
			.add("tracestate", TestBroker.bytes("calm=1"))
			.add("baggage", TestBroker.bytes("user=me"))
			.add("b3", TestBroker.bytes("0"))
			.add("X-B3-TraceId", TestBroker.bytes("463ac35c9f6413ad"))
			.add("private", TestBroker.bytes("to the service"));
		this.service.send(request);
		List<ConsumerRecord<byte[], byte[]>> chunks = TestBroker.read(topic, (all) -> chosen(all).size() == 3);
		assertThat(chosen(chunks)).allSatisfy((chunk) -> {
			assertThat(chunk.partition()).isEqualTo(1);
			assertThat(chunk.key()).isEqualTo(TestBroker.bytes("chosen"));
			assertThat(Objects.requireNonNull(chunk.headers().lastHeader(KafkaHeaders.CORRELATION_ID)).value())
				.containsExactly(1, 2, 3);
			assertThat(header(chunk, "traceparent")).startsWith("00-0af7");
			assertThat(header(chunk, "tracestate")).isEqualTo("calm=1");
			assertThat(header(chunk, "baggage")).isEqualTo("user=me");
			assertThat(header(chunk, "b3")).isEqualTo("0");
			assertThat(header(chunk, "X-B3-TraceId")).isEqualTo("463ac35c9f6413ad");
			assertThat(header(chunk, "content-type")).isEqualTo("application/json");
			assertThat(header(chunk, "ce_specversion")).isEqualTo("1.0");
			assertThat(header(chunk, "ce_id")).startsWith("chosen/");
			assertThat(chunk.headers().lastHeader("private")).isNull();
		});
		assertThat(chosen(chunks)).extracting((chunk) -> header(chunk, "ce_type"))
			.containsExactly("io.calm.text.chunk", "io.calm.text.chunk", "io.calm.text.end");
	}

	private static List<ConsumerRecord<byte[], byte[]>> chosen(List<ConsumerRecord<byte[], byte[]>> all) {
		return all.stream().filter((each) -> Arrays.equals(each.key(), TestBroker.bytes("chosen"))).toList();
	}

	private static byte[] request(String prompt) {
		return TestBroker.bytes("{\"version\": 1, \"prompt\": \"" + prompt + "\"}");
	}

	private static byte[] partition(int number) {
		return ByteBuffer.allocate(Integer.BYTES).putInt(number).array();
	}

}

package io.calm.streaming.service;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import io.calm.streaming.FailureReason;
import io.calm.streaming.TestBroker;
import io.calm.streaming.TextRequest;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Requests that are events of CloudEvents, and what becomes of them in a service that
 * makes no events of its own accord.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class EventTests {

	private static final Map<String, String> EVENT = Map.of("ce_specversion", "1.0", "ce_id", "e-1", "ce_source",
			"/shop", "ce_type", "com.example.wanted", "ce_correlationid", "order-7", "content-type",
			"application/json");

	private final ServiceUnderTest service = ServiceUnderTest.start(1);

	@AfterAll
	void stop() {
		this.service.close();
	}

	private void send(String id, String prompt, Map<String, String> headers) {
		ProducerRecord<byte[], byte[]> record = new ProducerRecord<>(this.service.requests(), TestBroker.bytes(id),
				ServiceUnderTest.FORMAT.write(TextRequest.of(prompt, (request) -> request.id(id))));
		headers.forEach((name, value) -> record.headers().add(name, value.getBytes(StandardCharsets.ISO_8859_1)));
		this.service.send(record);
		this.service.end(id);
	}

	private static Map<String, String> with(String name, @Nullable String value) {
		Map<String, String> headers = new LinkedHashMap<>(EVENT);
		headers.remove(name);
		if (value != null) {
			headers.put(name, value);
		}
		return headers;
	}

	private List<ConsumerRecord<byte[], byte[]>> records(String topic, String id, int count) {
		return TestBroker
			.read(this.service.prefix() + topic,
					(all) -> all.stream().filter((each) -> hasKey(each, id)).count() >= count)
			.stream()
			.filter((each) -> hasKey(each, id))
			.toList();
	}

	private static boolean hasKey(ConsumerRecord<byte[], byte[]> record, String id) {
		return Arrays.equals(record.key(), TestBroker.bytes(id));
	}

	private static String header(ConsumerRecord<byte[], byte[]> record, String name) {
		return new String(Objects.requireNonNull(record.headers().lastHeader(name), name).value(),
				StandardCharsets.UTF_8);
	}

	private static List<String> attributes(ConsumerRecord<byte[], byte[]> record) {
		return Arrays.stream(record.headers().toArray())
			.map(Header::key)
			.filter((name) -> name.startsWith("ce_"))
			.toList();
	}

	@Test
	void areAnsweredWithEvents() {
		send("event", "2", EVENT);
		List<ConsumerRecord<byte[], byte[]>> chunks = records(".chunks", "event", 2);
		assertThat(chunks).hasSize(2).allSatisfy((chunk) -> {
			assertThat(header(chunk, "ce_specversion")).isEqualTo("1.0");
			assertThat(header(chunk, "ce_id")).startsWith("event/");
			assertThat(header(chunk, "ce_source")).isEqualTo("/" + this.service.prefix());
			assertThat(header(chunk, "ce_causationid")).isEqualTo("e-1");
			assertThat(header(chunk, "ce_correlationid")).isEqualTo("order-7");
			assertThat(attributes(chunk)).doesNotHaveDuplicates();
		});
		assertThat(chunks).extracting((chunk) -> header(chunk, "ce_type"))
			.containsExactly("io.calm.text.chunk", "io.calm.text.end");
	}

	@Test
	void othersAreNot() {
		send("none", "1", Map.of("ce_id", "e-1", "ce_correlationid", "order-7"));
		assertThat(attributes(records(".chunks", "none", 1).get(0))).isEmpty();
		send("none refused", "1", Map.of("calm_deadline", "never"));
		assertThat(attributes(records(".dead-letters", "none refused", 1).get(0))).isEmpty();
	}

	@ParameterizedTest
	@CsvSource(nullValues = "none", textBlock = """
			version,   ce_specversion, 0.3,   the header ce_specversion is not 1.0
			no id,     ce_id,          none,  the header ce_id is missing or empty
			no source, ce_source,      '',    the header ce_source is missing or empty
			no type,   ce_type,        none,  the header ce_type is missing or empty
			latin,     ce_source,      /h\u00fctte, the header ce_source is not UTF-8
			structure, content-type,   application/CloudEvents+json; charset=UTF-8, send it in the binary mode
			batch,     content-type,   application/cloudevents-batch+json, send it in the binary mode
			""")
	void thatAreNoneAreRefused(String id, String name, @Nullable String value, String message) {
		send(id, "1", with(name, value));
		assertThat(this.service.end(id).failure()).isNotNull().satisfies((failure) -> {
			assertThat(failure.reason()).isEqualTo(FailureReason.INVALID_MESSAGE);
			assertThat(failure.message()).contains(message).doesNotContain("tte");
		});
		assertThat(header(records(".dead-letters", id, 1).get(0), "calm_reason")).isEqualTo("INVALID_MESSAGE");
	}

	@Test
	void idThatIsTooLargeIsNotReturned() {
		send("large", "1", with("ce_id", "i".repeat(9000)));
		assertThat(this.service.end("large").failure()).isNotNull().satisfies((failure) -> {
			assertThat(failure.reason()).isEqualTo(FailureReason.LIMIT_EXCEEDED);
			assertThat(failure.message()).contains("ce_id").doesNotContain("ce_causationid");
		});
		ConsumerRecord<byte[], byte[]> chunk = records(".chunks", "large", 1).get(0);
		assertThat(chunk.headers().lastHeader("ce_causationid")).isNull();
		assertThat(header(chunk, "ce_correlationid")).isEqualTo("order-7");
	}

	@Test
	void deadLetterStaysTheEvent() {
		Map<String, String> headers = new LinkedHashMap<>(EVENT);
		headers.put("calm_deadline", "never");
		send("letter", "1", headers);
		ConsumerRecord<byte[], byte[]> first = records(".dead-letters", "letter", 1).get(0);
		this.service
			.send(new ProducerRecord<>(this.service.requests(), null, first.key(), first.value(), first.headers()));
		assertThat(records(".dead-letters", "letter", 2)).hasSize(2).allSatisfy((letter) -> {
			EVENT.forEach((name, value) -> assertThat(header(letter, name)).isEqualTo(value));
			assertThat(header(letter, "ce_calmreason")).isEqualTo("INVALID_MESSAGE");
			assertThat(header(letter, "ce_calmmessage")).isEqualTo(header(letter, "calm_message"));
			assertThat(attributes(letter)).doesNotHaveDuplicates().hasSize(7);
		});
	}

}

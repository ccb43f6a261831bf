package io.calm.streaming.service;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

import io.calm.streaming.FailureReason;
import io.calm.streaming.InvalidMessageException;
import io.calm.streaming.TextChunk;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeader;

/**
 * Records as events of CloudEvents in the binary mode: the value is the data, and each
 * attribute is a header whose name begins with {@code ce_}.
 */
final class Event {

	private static final String VERSION = "ce_specversion";

	private static final String ID = "ce_id";

	/** Of CloudEvents' extension for correlation: comes back as it is. */
	private static final String CORRELATION = "ce_correlationid";

	/** Of the same extension: the event that led to this one. */
	private static final String CAUSE = "ce_causationid";

	private static final List<String> REQUIRED = List.of(ID, "ce_source", "ce_type");

	/** Of a dead letter; those of one that has been sent in again are of the past. */
	private static final String REASON = "ce_calmreason";

	private static final String MESSAGE = "ce_calmmessage";

	private Event() {
	}

	/** Whether a request says that it is an event in the binary mode. */
	static boolean is(ConsumerRecord<byte[], byte[]> request) {
		return request.headers().lastHeader(VERSION) != null;
	}

	private static boolean isStructured(ConsumerRecord<byte[], byte[]> request) {
		byte[] type = Destination.value(request, "content-type");
		return type != null && new String(type, StandardCharsets.ISO_8859_1).toLowerCase(Locale.ROOT)
			.startsWith("application/cloudevents");
	}

	/**
	 * Checks the attributes of a request, if it is an event.
	 * @throws InvalidMessageException if it is none that can be read
	 */
	static void check(ConsumerRecord<byte[], byte[]> request) {
		if (isStructured(request)) {
			throw new InvalidMessageException(FailureReason.INVALID_MESSAGE,
					"the request is an event in a mode of CloudEvents that is not read; send it in the binary mode, with"
							+ " its attributes in headers that begin with ce_");
		}
		if (!is(request)) {
			return;
		}
		if (!"1.0".equals(text(request, VERSION))) {
			throw new InvalidMessageException(FailureReason.INVALID_MESSAGE,
					"the header " + VERSION + " is not 1.0, the only version of CloudEvents known here");
		}
		for (String name : REQUIRED) {
			if (text(request, name).isEmpty()) {
				throw new InvalidMessageException(FailureReason.INVALID_MESSAGE,
						"the header " + name + " is missing or empty, which an event needs");
			}
		}
	}

	private static String text(ConsumerRecord<byte[], byte[]> request, String name) {
		byte[] value = Destination.value(request, name);
		try {
			return (value != null) ? StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(value)).toString() : "";
		}
		catch (CharacterCodingException ex) {
			throw new InvalidMessageException(FailureReason.INVALID_MESSAGE, "the header " + name + " is not UTF-8",
					ex);
		}
	}

	/** What the events that answer a request say of it. */
	static Stream<Header> returned(ConsumerRecord<byte[], byte[]> request) {
		if (!is(request)) {
			return Stream.empty();
		}
		List<Header> all = new ArrayList<>();
		byte[] id = Destination.value(request, ID);
		if (id != null) {
			all.add(new RecordHeader(CAUSE, id));
		}
		Header correlation = request.headers().lastHeader(CORRELATION);
		if (correlation != null) {
			all.add(correlation);
		}
		return all.stream();
	}

	/** The name under which the caller sent what comes back. */
	static String sentAs(String returned) {
		return returned.equals(CAUSE) ? ID : returned;
	}

	/** Makes a chunk an event. */
	static void chunk(Headers headers, TextChunk chunk, String source) {
		add(headers, VERSION, "1.0");
		add(headers, "ce_type", (chunk.end() != null) ? "io.calm.text.end" : "io.calm.text.chunk");
		add(headers, "ce_source", source);
		add(headers, ID, chunk.requestId() + "/" + chunk.attempt() + "/" + chunk.seq());
		add(headers, "ce_subject", chunk.requestId());
		add(headers, "ce_time", Instant.now().toString());
	}

	/**
	 * Says in an event that it is a dead letter now; it stays the event that it was. What
	 * was none becomes one, if that is wanted.
	 * @param headers of the dead letter, which has those of its request already
	 */
	static void deadLetter(Headers headers, ConsumerRecord<byte[], byte[]> request, boolean wanted, String source,
			FailureReason reason, String message) {
		headers.remove(REASON);
		headers.remove(MESSAGE);
		if (!is(request)) {
			if (!wanted || isStructured(request) || hasAttributes(request)) {
				return;
			}
			add(headers, VERSION, "1.0");
			add(headers, "ce_type", "io.calm.text.dead-letter");
			add(headers, "ce_source", source);
			add(headers, ID, Outgoing.place(request));
			add(headers, "ce_time", Instant.now().toString());
		}
		add(headers, REASON, reason.name());
		add(headers, MESSAGE, message);
	}

	/** Which the dead letter keeps, although they make no event. */
	private static boolean hasAttributes(ConsumerRecord<byte[], byte[]> request) {
		return StreamSupport.stream(request.headers().spliterator(), false)
			.anyMatch((header) -> header.key().startsWith("ce_"));
	}

	private static void add(Headers headers, String name, String value) {
		headers.add(name, value.getBytes(StandardCharsets.UTF_8));
	}

}

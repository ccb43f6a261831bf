package io.calm.streaming.service;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

import io.calm.streaming.FailureReason;
import io.calm.streaming.InvalidMessageException;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.header.Header;
import org.jspecify.annotations.Nullable;

import org.springframework.kafka.support.KafkaHeaders;

/**
 * Where the chunks of a request go, and what they carry back to its caller.
 *
 * @param topic one that the service writes to
 * @param partition of the topic, or {@code null} for the one that the key decides
 * @param headers that the caller gave to get them back
 * @param event whether the request is an event of CloudEvents, and its chunks therefore
 * too
 */
record Destination(String topic, @Nullable Integer partition, List<Header> headers, boolean event) {

	/** Correlation, and the trace in the forms of W3C and of Zipkin. */
	private static final Set<String> RETURNED = Set.of(KafkaHeaders.CORRELATION_ID, "traceparent", "tracestate",
			"baggage", "b3", "X-B3-TraceId", "X-B3-SpanId", "X-B3-ParentSpanId", "X-B3-Sampled");

	/**
	 * The usual topic: for requests that choose none, and for answers to those who may
	 * not choose theirs.
	 */
	static Destination usual(ConsumerRecord<byte[], byte[]> request, StreamingProperties properties) {
		StreamingProperties.Limits limits = properties.limits();
		List<Header> headers = (size(request) <= limits.headers().toBytes())
				? returned(request).filter((header) -> size(header) <= limits.header().toBytes()).toList() : List.of();
		return new Destination(properties.topics().chunks(), null, headers, Event.is(request));
	}

	/**
	 * What the headers of a request say. A client that chooses where to write could write
	 * anywhere: only topics that are listed are allowed.
	 * @throws InvalidMessageException if the topic is not
	 */
	static Destination chosen(ConsumerRecord<byte[], byte[]> request, StreamingProperties properties) {
		Destination usual = usual(request, properties);
		byte[] topicHeader = value(request, KafkaHeaders.REPLY_TOPIC);
		String topic = (topicHeader != null) ? new String(topicHeader, StandardCharsets.UTF_8) : usual.topic();
		if (!topic.equals(usual.topic()) && !properties.replyTopics().contains(topic)) {
			throw new InvalidMessageException(FailureReason.REPLY_NOT_ALLOWED,
					"the topic in " + KafkaHeaders.REPLY_TOPIC + " is none that this service writes to");
		}
		byte[] partitionHeader = value(request, KafkaHeaders.REPLY_PARTITION);
		if (partitionHeader != null && partitionHeader.length != Integer.BYTES) {
			throw new InvalidMessageException(FailureReason.REPLY_NOT_ALLOWED,
					"the value of " + KafkaHeaders.REPLY_PARTITION + " is not a number of 4 bytes");
		}
		Integer partition = (partitionHeader != null) ? ByteBuffer.wrap(partitionHeader).getInt() : null;
		return new Destination(topic, partition, usual.headers(), usual.event());
	}

	/** The headers that come back, whose size counts once for every chunk. */
	static Stream<Header> returned(ConsumerRecord<byte[], byte[]> request) {
		return Stream.concat(StreamSupport.stream(request.headers().spliterator(), false)
			.filter((header) -> RETURNED.contains(header.key())), Event.returned(request));
	}

	/** The bytes of all headers of a record. */
	static long size(ConsumerRecord<byte[], byte[]> request) {
		return StreamSupport.stream(request.headers().spliterator(), false).mapToLong(Destination::size).sum();
	}

	/**
	 * The bytes of a header in its record, where its name and its value have a length.
	 */
	static long size(Header header) {
		byte[] value = header.value();
		return 2 + header.key().getBytes(StandardCharsets.UTF_8).length + ((value != null) ? value.length : 0);
	}

	static byte @Nullable [] value(ConsumerRecord<byte[], byte[]> request, String header) {
		Header last = request.headers().lastHeader(header);
		return (last != null) ? last.value() : null;
	}

}

package io.calm.streaming.service;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;

import io.calm.streaming.FailureReason;
import io.calm.streaming.MessageFormat;
import io.calm.streaming.MessageHeaders;
import io.calm.streaming.TextChunk;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;

import org.springframework.kafka.KafkaException;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.support.KafkaHeaders;

/**
 * The records that the service writes.
 */
final class Outgoing {

	private final KafkaTemplate<byte[], byte[]> template;

	private final MessageFormat format;

	private final StreamingProperties properties;

	Outgoing(KafkaTemplate<byte[], byte[]> template, MessageFormat format, StreamingProperties properties) {
		this.template = template;
		this.format = format;
		this.properties = properties;
	}

	StreamingProperties properties() {
		return this.properties;
	}

	/** How many partitions a topic has. */
	int partitions(String topic) {
		return this.template.partitionsFor(topic).size();
	}

	ProducerRecord<byte[], byte[]> chunk(Destination destination, TextChunk chunk) {
		Headers headers = new RecordHeaders();
		destination.headers().forEach(headers::add);
		add(headers, "content-type", this.format.contentType());
		if (this.properties.cloudEvents()) {
			add(headers, "ce_specversion", "1.0");
			add(headers, "ce_type", (chunk.end() != null) ? "io.calm.text.end" : "io.calm.text.chunk");
			add(headers, "ce_source", "/" + this.properties.group());
			add(headers, "ce_id", chunk.requestId() + "/" + chunk.attempt() + "/" + chunk.seq());
			add(headers, "ce_subject", chunk.requestId());
			add(headers, "ce_time", Instant.now().toString());
		}
		return new ProducerRecord<>(destination.topic(), destination.partition(),
				chunk.requestId().getBytes(StandardCharsets.UTF_8), this.format.write(chunk), headers);
	}

	/** The original bytes, and in the headers where they were and what is wrong. */
	ProducerRecord<byte[], byte[]> deadLetter(ConsumerRecord<byte[], byte[]> request, FailureReason reason,
			String message) {
		Headers headers = new RecordHeaders(request.headers());
		add(headers, KafkaHeaders.DLT_ORIGINAL_TOPIC, request.topic());
		headers.add(KafkaHeaders.DLT_ORIGINAL_PARTITION,
				ByteBuffer.allocate(Integer.BYTES).putInt(request.partition()).array());
		headers.add(KafkaHeaders.DLT_ORIGINAL_OFFSET,
				ByteBuffer.allocate(Long.BYTES).putLong(request.offset()).array());
		headers.add(KafkaHeaders.DLT_ORIGINAL_TIMESTAMP,
				ByteBuffer.allocate(Long.BYTES).putLong(request.timestamp()).array());
		add(headers, KafkaHeaders.DLT_ORIGINAL_TIMESTAMP_TYPE, request.timestampType().toString());
		add(headers, MessageHeaders.REASON, reason.name());
		add(headers, MessageHeaders.MESSAGE, message);
		return new ProducerRecord<>(this.properties.topics().deadLetters(), null, request.key(), request.value(),
				headers);
	}

	private static void add(Headers headers, String name, String value) {
		headers.add(name, value.getBytes(StandardCharsets.UTF_8));
	}

	/**
	 * Sends a record.
	 * @return completes when all replicas in sync have it
	 */
	CompletableFuture<?> send(ProducerRecord<byte[], byte[]> record) {
		try {
			return this.template.send(record);
		}
		catch (KafkaException | org.apache.kafka.common.KafkaException ex) {
			return CompletableFuture.failedFuture(ex);
		}
	}

	/** Sends records, dead letters without their value if it is too large for them. */
	CompletableFuture<Void> sendAll(List<ProducerRecord<byte[], byte[]>> records) {
		return CompletableFuture.allOf(records.stream().map(this::sendSmall).toArray(CompletableFuture<?>[]::new));
	}

	/** Sends records of which only the dead letters matter. */
	CompletableFuture<Void> sendLast(List<ProducerRecord<byte[], byte[]>> records) {
		return CompletableFuture.allOf(records.stream().map((record) -> {
			CompletableFuture<?> sent = sendSmall(record);
			return isDeadLetter(record) ? sent : sent.exceptionally((failure) -> null);
		}).toArray(CompletableFuture<?>[]::new));
	}

	private CompletableFuture<?> sendSmall(ProducerRecord<byte[], byte[]> record) {
		return send(record).thenApply((result) -> true)
			.exceptionallyCompose((failure) -> (isTooLarge(failure) && isDeadLetter(record))
					? send(small(record)).thenApply((result) -> true) : CompletableFuture.failedFuture(failure));
	}

	private boolean isDeadLetter(ProducerRecord<byte[], byte[]> record) {
		return record.topic().equals(this.properties.topics().deadLetters());
	}

	static boolean isTooLarge(Throwable failure) {
		for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
			if (cause instanceof RecordTooLargeException) {
				return true;
			}
		}
		return false;
	}

	/** A dead letter without its value; another record as it is. */
	ProducerRecord<byte[], byte[]> small(ProducerRecord<byte[], byte[]> record) {
		if (!isDeadLetter(record) || record.value() == null) {
			return record;
		}
		Headers headers = new RecordHeaders(record.headers());
		add(headers, MessageHeaders.OMITTED_SIZE, Integer.toString(record.value().length));
		return new ProducerRecord<>(record.topic(), null, record.key(), null, headers);
	}

	/** What stands for a request that has no name. */
	static String place(ConsumerRecord<?, ?> request) {
		return String.format(Locale.ROOT, "%s-%d@%d", request.topic(), request.partition(), request.offset());
	}

}

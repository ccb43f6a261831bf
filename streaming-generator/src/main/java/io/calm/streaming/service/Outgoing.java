package io.calm.streaming.service;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.function.Supplier;
import java.util.stream.Stream;

import io.calm.streaming.FailureReason;
import io.calm.streaming.InvalidMessageException;
import io.calm.streaming.MessageFormat;
import io.calm.streaming.MessageHeaders;
import io.calm.streaming.TextChunk;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.InvalidTopicException;
import org.apache.kafka.common.errors.RecordTooLargeException;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.header.internals.RecordHeaders;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.scheduler.Schedulers;

import org.springframework.kafka.KafkaException;
import org.springframework.kafka.core.KafkaTemplate;
import org.springframework.kafka.support.KafkaHeaders;

/**
 * The records that the service writes.
 */
final class Outgoing {

	/** May wait for the brokers, which a thread of Kafka's clients may not. */
	static final Executor THREADS = (task) -> Schedulers.boundedElastic().schedule(task);

	private static final Logger LOG = LoggerFactory.getLogger(Outgoing.class);

	/** Of key and headers, with which a record fits any broker with default limits. */
	private static final long SMALL = 256 << 10;

	/** Of a dead letter; those of one that has been sent in again are of the past. */
	private static final List<String> LETTER = List.of(KafkaHeaders.DLT_ORIGINAL_TOPIC,
			KafkaHeaders.DLT_ORIGINAL_PARTITION, KafkaHeaders.DLT_ORIGINAL_OFFSET, KafkaHeaders.DLT_ORIGINAL_TIMESTAMP,
			KafkaHeaders.DLT_ORIGINAL_TIMESTAMP_TYPE, MessageHeaders.REASON, MessageHeaders.MESSAGE,
			MessageHeaders.OMITTED_SIZE);

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

	/**
	 * Asks the brokers about a place that a caller has chosen.
	 * @throws InvalidMessageException if it is not there, or may not be written to
	 * @throws org.apache.kafka.common.KafkaException if they do not answer
	 */
	void check(Destination destination) {
		if (destination.partition() == null && destination.topic().equals(this.properties.topics().chunks())) {
			return;
		}
		int partitions;
		try {
			partitions = this.template.partitionsFor(destination.topic()).size();
		}
		catch (org.apache.kafka.common.KafkaException ex) {
			if (isOfTheTopic(ex) && !destination.topic().equals(this.properties.topics().chunks())) {
				throw new InvalidMessageException(FailureReason.REPLY_NOT_ALLOWED,
						"the topic of the chunks is not there, or may not be written to", ex);
			}
			throw ex;
		}
		Integer partition = destination.partition();
		if (partition != null && (partition < 0 || partition >= partitions)) {
			throw new InvalidMessageException(FailureReason.REPLY_NOT_ALLOWED,
					"the topic of the chunks has no partition " + partition);
		}
	}

	ProducerRecord<byte[], byte[]> chunk(Destination destination, TextChunk chunk) {
		Headers headers = new RecordHeaders();
		destination.headers().forEach(headers::add);
		add(headers, "content-type", this.format.contentType());
		if (destination.event() || this.properties.cloudEvents()) {
			Event.chunk(headers, chunk, source());
		}
		return new ProducerRecord<>(destination.topic(), destination.partition(),
				chunk.requestId().getBytes(StandardCharsets.UTF_8), this.format.write(chunk), headers);
	}

	/** The original bytes, and in the headers where they were and what is wrong. */
	ProducerRecord<byte[], byte[]> deadLetter(ConsumerRecord<byte[], byte[]> request, FailureReason reason,
			String message) {
		Headers headers = new RecordHeaders(request.headers());
		LETTER.forEach(headers::remove);
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
		Event.deadLetter(headers, request, this.properties.cloudEvents(), source(), reason, message);
		return new ProducerRecord<>(this.properties.topics().deadLetters(), null, request.key(), request.value(),
				headers);
	}

	/** Of events. */
	private String source() {
		return "/" + this.properties.group();
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

	/** Tells the end of a request: first its caller, then whoever reads dead letters. */
	CompletableFuture<Void> tell(List<ProducerRecord<byte[], byte[]>> records) {
		return all(records.stream().filter((record) -> !isDeadLetter(record)).map(this::send)).thenComposeAsync(
				(told) -> all(records.stream().filter(this::isDeadLetter).map(this::sendLetter)), THREADS);
	}

	/**
	 * Tells the end of a request whose caller cannot be told, or whose last chance it is:
	 * only the dead letter has to arrive.
	 */
	CompletableFuture<Void> tellLast(List<ProducerRecord<byte[], byte[]>> records) {
		return all(records.stream().filter((record) -> !isDeadLetter(record)).map(this::send))
			.exceptionally((failure) -> null)
			.thenComposeAsync((told) -> all(records.stream().filter(this::isDeadLetter).map(this::sendLetter)),
					THREADS);
	}

	private static CompletableFuture<Void> all(Stream<CompletableFuture<?>> sent) {
		return CompletableFuture.allOf(sent.toArray(CompletableFuture<?>[]::new));
	}

	/** Whole, or small; one that is too large even so would stop all those behind it. */
	private CompletableFuture<?> sendLetter(ProducerRecord<byte[], byte[]> letter) {
		return orIfTooLarge(send(letter), () -> orIfTooLarge(send(small(letter)), () -> {
			lost(letter);
			return CompletableFuture.completedFuture(true);
		}));
	}

	private static CompletableFuture<?> orIfTooLarge(CompletableFuture<?> sent,
			Supplier<CompletableFuture<?>> otherwise) {
		return sent.thenApply((result) -> true)
			.exceptionallyComposeAsync((failure) -> isTooLarge(failure) ? otherwise.get().thenApply((result) -> true)
					: CompletableFuture.failedFuture(failure), THREADS);
	}

	/** Nothing that can be written is left. */
	void lost(ProducerRecord<byte[], byte[]> letter) {
		LOG.error("A dead letter is too large for the topic {} even without its value, and is lost", letter.topic());
	}

	boolean isDeadLetter(ProducerRecord<byte[], byte[]> record) {
		return record.topic().equals(this.properties.topics().deadLetters());
	}

	static boolean isTooLarge(Throwable failure) {
		return isCausedBy(failure, RecordTooLargeException.class);
	}

	/** Whether it is the topic that does not take a record, and not the brokers. */
	static boolean isOfTheTopic(Throwable failure) {
		return isTooLarge(failure) || isCausedBy(failure, UnknownTopicOrPartitionException.class)
				|| isCausedBy(failure, TopicAuthorizationException.class)
				|| isCausedBy(failure, InvalidTopicException.class);
	}

	private static boolean isCausedBy(Throwable failure, Class<? extends Throwable> type) {
		for (Throwable cause = failure; cause != null; cause = cause.getCause()) {
			if (type.isInstance(cause)) {
				return true;
			}
		}
		return false;
	}

	static boolean isSmall(ProducerRecord<byte[], byte[]> letter) {
		return letter.headers().lastHeader(MessageHeaders.OMITTED_SIZE) != null;
	}

	/**
	 * A dead letter without its value, and without key and the request's own headers, if
	 * it is these that are too large.
	 */
	static ProducerRecord<byte[], byte[]> small(ProducerRecord<byte[], byte[]> letter) {
		List<Header> all = Arrays.asList(letter.headers().toArray());
		byte[] key = letter.key();
		boolean fits = ((key != null) ? key.length : 0) + all.stream().mapToLong(Destination::size).sum() <= SMALL;
		Headers headers = new RecordHeaders();
		all.stream().filter((each) -> fits || LETTER.contains(each.key())).forEach(headers::add);
		byte[] value = letter.value();
		add(headers, MessageHeaders.OMITTED_SIZE, Integer.toString((value != null) ? value.length : 0));
		return new ProducerRecord<>(letter.topic(), null, fits ? key : null, null, headers);
	}

	/** What stands for a request that has no name. */
	static String place(ConsumerRecord<?, ?> request) {
		return String.format(Locale.ROOT, "%s-%d@%d", request.topic(), request.partition(), request.offset());
	}

}

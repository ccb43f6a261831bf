package io.calm.streaming.client;

import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Consumer;

import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetOutOfRangeException;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.WakeupException;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Reads all partitions of a topic from now on, on a thread of its own. It belongs to no
 * consumer group: nobody else can get what is meant for it.
 */
final class ChunkReader implements AutoCloseable {

	private static final Logger LOG = LoggerFactory.getLogger(ChunkReader.class);

	private static final Duration POLL = Duration.ofSeconds(1);

	private final String topic;

	private final Map<String, Object> properties;

	private final Consumer<ConsumerRecord<byte[], byte[]>> received;

	private final Consumer<Throwable> lost;

	private @Nullable CompletableFuture<List<TopicPartition>> ready;

	private @Nullable Thread thread;

	private volatile boolean closed;

	private volatile @Nullable KafkaConsumer<byte[], byte[]> consumer;

	ChunkReader(String topic, Map<String, Object> kafka, Consumer<ConsumerRecord<byte[], byte[]>> received,
			Consumer<Throwable> lost) {
		this.topic = topic;
		this.properties = new HashMap<>(kafka);
		// what neither knows may be for a plug-in, such as one for TLS
		this.properties.keySet()
			.removeIf((name) -> ProducerConfig.configNames().contains(name)
					&& !ConsumerConfig.configNames().contains(name));
		this.properties.remove(ConsumerConfig.GROUP_ID_CONFIG);
		this.properties.remove(ConsumerConfig.GROUP_INSTANCE_ID_CONFIG);
		this.properties.remove(ConsumerConfig.GROUP_PROTOCOL_CONFIG);
		this.properties.put(ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, false);
		// from now on is decided once: what was written while a place was lost is not
		// left
		// out
		this.properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "none");
		// what is in an unfinished transaction may never be
		this.properties.put(ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
		this.received = received;
		this.lost = lost;
	}

	/**
	 * Begins to read, unless that has been done.
	 * @return completes with the partitions that are read: all that is written to them
	 * from then on is received
	 */
	synchronized CompletableFuture<List<TopicPartition>> ready() {
		if (this.ready == null || this.ready.isCompletedExceptionally()) {
			CompletableFuture<List<TopicPartition>> next = new CompletableFuture<>();
			if (this.closed) {
				next.completeExceptionally(new IllegalStateException("The client is closed"));
				return next;
			}
			this.thread = new Thread(() -> read(next), "calm-chunk-reader");
			this.thread.setDaemon(true);
			this.thread.start();
			this.ready = next;
		}
		return this.ready;
	}

	private void read(CompletableFuture<List<TopicPartition>> ready) {
		try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(this.properties, new ByteArrayDeserializer(),
				new ByteArrayDeserializer())) {
			this.consumer = consumer;
			List<TopicPartition> partitions = List.of();
			while (!this.closed && partitions.isEmpty()) {
				partitions = fromNowOn(consumer);
			}
			if (this.closed) {
				throw new WakeupException();
			}
			ready.complete(partitions);
			while (!this.closed) {
				for (ConsumerRecord<byte[], byte[]> each : next(consumer)) {
					if (each.key() != null && each.value() != null) {
						this.received.accept(each);
					}
				}
			}
		}
		catch (WakeupException | InterruptException ex) {
			LOG.debug("The client is closed");
			ready.completeExceptionally(new IllegalStateException("The client is closed"));
		}
		catch (RuntimeException ex) {
			LOG.warn("The topic {} cannot be read any more", this.topic, ex);
			synchronized (this) {
				this.ready = null;
			}
			ready.completeExceptionally(ex);
			this.lost.accept(ex);
		}
	}

	/** Fixes the places from which is read; empty if the brokers do not answer yet. */
	private List<TopicPartition> fromNowOn(KafkaConsumer<byte[], byte[]> consumer) {
		try {
			List<TopicPartition> partitions = consumer.partitionsFor(this.topic)
				.stream()
				.map((each) -> new TopicPartition(each.topic(), each.partition()))
				.toList();
			if (partitions.isEmpty()) {
				throw new KafkaException("There is no topic " + this.topic);
			}
			consumer.assign(partitions);
			consumer.seekToEnd(partitions);
			partitions.forEach(consumer::position);
			return partitions;
		}
		catch (RetriableException ex) {
			LOG.debug("The brokers do not answer yet", ex);
			return List.of();
		}
	}

	/**
	 * The brokers may have deleted what is at a place, or have lost it, or forget which
	 * leader wrote it. What they still have from there on is read.
	 */
	private static ConsumerRecords<byte[], byte[]> next(KafkaConsumer<byte[], byte[]> consumer) {
		try {
			return consumer.poll(POLL);
		}
		catch (OffsetOutOfRangeException ex) {
			Map<TopicPartition, Long> lost = ex.offsetOutOfRangePartitions();
			LOG.info("Places are lost: {}", lost);
			try {
				Map<TopicPartition, Long> first = consumer.beginningOffsets(lost.keySet());
				Map<TopicPartition, Long> end = consumer.endOffsets(lost.keySet());
				lost.forEach((partition, place) -> consumer.seek(partition, Math.max(first.getOrDefault(partition, 0L),
						Math.min(place, end.getOrDefault(partition, place)))));
			}
			catch (RetriableException unanswered) {
				// it will say the same again
				LOG.debug("The brokers do not answer yet", unanswered);
			}
			return ConsumerRecords.empty();
		}
	}

	@Override
	public void close() {
		Thread running;
		synchronized (this) {
			this.closed = true;
			running = this.thread;
		}
		KafkaConsumer<byte[], byte[]> open = this.consumer;
		if (open != null) {
			open.wakeup();
		}
		try {
			if (running != null) {
				running.join();
			}
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
	}

}

package io.calm.streaming;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/**
 * All committed records of a topic, from its beginning.
 */
public final class TopicLog implements AutoCloseable {

	private static final Duration PATIENCE = Duration.ofSeconds(120);

	private final String topic;

	private final KafkaConsumer<byte[], byte[]> consumer;

	private final List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();

	/** Opens a topic that exists. */
	public TopicLog(String address, String topic) {
		this.topic = topic;
		this.consumer = new KafkaConsumer<>(
				Map.of(ConsumerConfig.BOOTSTRAP_SERVERS_CONFIG, address, ConsumerConfig.AUTO_OFFSET_RESET_CONFIG,
						"earliest", ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed"),
				new ByteArrayDeserializer(), new ByteArrayDeserializer());
		List<TopicPartition> partitions = this.consumer.partitionsFor(topic)
			.stream()
			.map((each) -> new TopicPartition(topic, each.partition()))
			.toList();
		this.consumer.assign(partitions);
		this.consumer.seekToBeginning(partitions);
	}

	/** Waits until there is enough. */
	public synchronized List<ConsumerRecord<byte[], byte[]>> read(
			Predicate<List<ConsumerRecord<byte[], byte[]>>> enough) {
		long deadline = System.nanoTime() + PATIENCE.toNanos();
		while (!enough.test(this.records)) {
			if (System.nanoTime() > deadline) {
				throw new AssertionError("Only " + this.records.size() + " records in " + this.topic);
			}
			this.consumer.poll(Duration.ofMillis(100)).forEach(this.records::add);
		}
		return List.copyOf(this.records);
	}

	@Override
	public synchronized void close() {
		this.consumer.close();
	}

}

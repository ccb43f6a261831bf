package io.calm.streaming;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.function.Predicate;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArraySerializer;

import org.springframework.kafka.test.EmbeddedKafkaKraftBroker;

/**
 * A real broker in this process, one for all tests, with Kafka's own limits for messages;
 * each uses topics of its own, whose names begin with a prefix.
 */
public final class TestBroker {

	private static final EmbeddedKafkaKraftBroker BROKER = started();

	private static final KafkaProducer<byte[], byte[]> PRODUCER = new KafkaProducer<>(Map
		.of(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, address(), ProducerConfig.MAX_REQUEST_SIZE_CONFIG, 20 << 20),
			new ByteArraySerializer(), new ByteArraySerializer());

	/**
	 * Of the topics that have been read; they stay open, for opening takes longer than
	 * reading.
	 */
	private static final Map<String, TopicLog> TOPICS = new ConcurrentHashMap<>();

	private TestBroker() {
	}

	private static EmbeddedKafkaKraftBroker started() {
		EmbeddedKafkaKraftBroker broker = new EmbeddedKafkaKraftBroker(1, 1);
		broker.brokerProperties(Map.of("auto.create.topics.enable", "false", "offsets.topic.num.partitions", "2",
				"transaction.state.log.num.partitions", "2", "transaction.state.log.replication.factor", "1",
				"transaction.state.log.min.isr", "1", "share.coordinator.state.topic.replication.factor", "1",
				"share.coordinator.state.topic.min.isr", "1", "share.coordinator.state.topic.num.partitions", "2",
				"group.initial.rebalance.delay.ms", "0"));
		broker.brokerProperty("group.share.min.record.lock.duration.ms", "1000");
		// by default it would set Spring Boot's property, for all that run in this
		// process
		broker.brokerListProperty("calm.test.brokers");
		broker.afterPropertiesSet();
		Runtime.getRuntime().addShutdownHook(new Thread(broker::destroy));
		return broker;
	}

	/** Its host and port. */
	public static String address() {
		return BROKER.getBrokersAsString();
	}

	/** Properties for Kafka's clients. */
	public static Map<String, Object> connection() {
		return Map.of(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, address());
	}

	/** A prefix that no test has had. */
	public static String prefix() {
		return "test-" + UUID.randomUUID().toString().substring(0, 8);
	}

	/** Makes the topics of a service. */
	public static void createTopics(String prefix, int partitions) {
		createTopics(List.of(prefix + ".requests", prefix + ".chunks", prefix + ".control", prefix + ".dead-letters"),
				partitions);
	}

	/** Makes topics. */
	public static void createTopics(List<String> names, int partitions) {
		createTopics(names, partitions, Map.of());
	}

	/** Makes topics with a configuration of their own. */
	public static void createTopics(List<String> names, int partitions, Map<String, String> configuration) {
		try (Admin admin = Admin.create(connection())) {
			admin
				.createTopics(names.stream()
					.map((name) -> new NewTopic(name, partitions, (short) 1).configs(configuration))
					.toList())
				.all()
				.get();
		}
		catch (InterruptedException | ExecutionException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/** Sends a record and waits until it is there. */
	public static void send(ProducerRecord<byte[], byte[]> record) {
		try {
			PRODUCER.send(record).get();
		}
		catch (InterruptedException | ExecutionException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/** Bytes of a text. */
	public static byte[] bytes(String text) {
		return text.getBytes(StandardCharsets.UTF_8);
	}

	/** The offset that the next record of partition 0 of a topic gets. */
	public static long latest(String topic) {
		TopicPartition partition = new TopicPartition(topic, 0);
		try (Admin admin = Admin.create(connection())) {
			return admin.listOffsets(Map.of(partition, OffsetSpec.latest())).partitionResult(partition).get().offset();
		}
		catch (InterruptedException | ExecutionException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/** What a group has committed for partition 0 of a topic, or -1. */
	public static long committed(String group, String topic) {
		return committed(group, topic, 0);
	}

	/** What a group has committed for a partition of a topic, or -1. */
	public static long committed(String group, String topic, int partition) {
		try (Admin admin = Admin.create(connection())) {
			OffsetAndMetadata offset = admin.listConsumerGroupOffsets(group)
				.partitionsToOffsetAndMetadata()
				.get()
				.get(new TopicPartition(topic, partition));
			return (offset != null) ? offset.offset() : -1;
		}
		catch (InterruptedException | ExecutionException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/**
	 * Waits for records of a topic, which is read from its beginning.
	 * @param enough ends the waiting
	 */
	public static List<ConsumerRecord<byte[], byte[]>> read(String topic,
			Predicate<List<ConsumerRecord<byte[], byte[]>>> enough) {
		return TOPICS.computeIfAbsent(topic, (name) -> new TopicLog(address(), name)).read(enough);
	}

}

package io.calm.streaming.service;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.stream.Stream;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.errors.TopicExistsException;

/**
 * Creates the topics that do not exist, and leaves the others as they are.
 */
final class TopicCreation {

	private TopicCreation() {
	}

	/**
	 * Creates topics.
	 * @return false if the thread is interrupted
	 * @throws KafkaException if there is one that does not exist and cannot be created
	 */
	static boolean create(Map<String, Object> connection, StreamingProperties.Topics topics) {
		Optional<Short> replicas = (topics.replicas() > 0) ? Optional.of((short) topics.replicas()) : Optional.empty();
		List<NewTopic> all = Stream.of(topics.requests(), topics.chunks(), topics.control(), topics.deadLetters())
			.map((name) -> new NewTopic(name, Optional.of(topics.partitions()), replicas))
			.toList();
		try (Admin admin = Admin.create(connection)) {
			for (KafkaFuture<Void> each : admin.createTopics(all).values().values()) {
				awaitExistence(each);
			}
			return true;
		}
		catch (ExecutionException ex) {
			throw new KafkaException("The topics could not be created", ex.getCause());
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
			return false;
		}
	}

	private static void awaitExistence(KafkaFuture<Void> creation) throws ExecutionException, InterruptedException {
		try {
			creation.get();
		}
		catch (ExecutionException ex) {
			if (!(ex.getCause() instanceof TopicExistsException)) {
				throw ex;
			}
		}
	}

}

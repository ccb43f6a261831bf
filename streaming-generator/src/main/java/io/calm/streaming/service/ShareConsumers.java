package io.calm.streaming.service;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ExecutionException;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

import org.springframework.kafka.core.DefaultShareConsumerFactory;
import org.springframework.kafka.core.ShareConsumerFactory;

/**
 * Consumers of share groups, whose properties are not quite those of others.
 */
final class ShareConsumers {

	/** What share groups refuse. */
	private static final List<String> UNSUPPORTED = List.of(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG,
			ConsumerConfig.ENABLE_AUTO_COMMIT_CONFIG, ConsumerConfig.AUTO_COMMIT_INTERVAL_MS_CONFIG,
			ConsumerConfig.GROUP_INSTANCE_ID_CONFIG, ConsumerConfig.ISOLATION_LEVEL_CONFIG,
			ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG, ConsumerConfig.INTERCEPTOR_CLASSES_CONFIG,
			ConsumerConfig.SESSION_TIMEOUT_MS_CONFIG, ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG,
			ConsumerConfig.GROUP_PROTOCOL_CONFIG, ConsumerConfig.GROUP_REMOTE_ASSIGNOR_CONFIG);

	private static final String RESET = "share.auto.offset.reset";

	private ShareConsumers() {
	}

	/** Consumers that get one record at a time and acknowledge it themselves. */
	static ShareConsumerFactory<byte[], byte[]> factory(Map<String, Object> application) {
		Map<String, Object> configuration = new HashMap<>(application);
		UNSUPPORTED.forEach(configuration::remove);
		configuration.put(ConsumerConfig.SHARE_ACKNOWLEDGEMENT_MODE_CONFIG, "explicit");
		configuration.put(ConsumerConfig.SHARE_ACQUIRE_MODE_CONFIG, "record_limit");
		configuration.put(ConsumerConfig.MAX_POLL_RECORDS_CONFIG, 1);
		return new DefaultShareConsumerFactory<>(configuration, new ByteArrayDeserializer(),
				new ByteArrayDeserializer(), false);
	}

	/**
	 * A share group begins at the end of its topic unless the brokers are told otherwise:
	 * what was asked before the first service started would be lost.
	 * @return false if the brokers do not know it yet
	 * @throws KafkaException if they do not answer, or do not allow it
	 */
	static boolean beginAtTheEarliest(Map<String, Object> connection, String group) {
		ConfigResource resource = new ConfigResource(ConfigResource.Type.GROUP, group);
		try (Admin admin = Admin.create(connection)) {
			if (isEarliest(admin, resource)) {
				return true;
			}
			AlterConfigOp earliest = new AlterConfigOp(new ConfigEntry(RESET, "earliest"), AlterConfigOp.OpType.SET);
			admin.incrementalAlterConfigs(Map.of(resource, List.of(earliest))).all().get();
			return isEarliest(admin, resource);
		}
		catch (ExecutionException ex) {
			throw new KafkaException("The share group " + group + " could not be told to begin at the earliest request",
					ex.getCause());
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
			return false;
		}
	}

	private static boolean isEarliest(Admin admin, ConfigResource group)
			throws ExecutionException, InterruptedException {
		ConfigEntry reset = Objects.requireNonNull(admin.describeConfigs(List.of(group)).all().get().get(group))
			.get(RESET);
		return reset != null && "earliest".equals(reset.value());
	}

}

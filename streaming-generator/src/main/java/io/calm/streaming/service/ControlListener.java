package io.calm.streaming.service;

import java.time.Clock;
import java.time.Duration;
import java.util.Map;
import java.util.UUID;

import io.calm.streaming.InvalidMessageException;
import io.calm.streaming.MessageFormat;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.common.TopicPartition;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.listener.ConsumerSeekAware;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.listener.MessageListener;

/**
 * Reads the cancellations, all of them in every service, as nobody knows who has the
 * request. Begins with those of the last minutes, whose requests may not have been taken
 * up yet.
 */
final class ControlListener implements MessageListener<byte[], byte[]>, ConsumerSeekAware {

	private static final Logger LOG = LoggerFactory.getLogger(ControlListener.class);

	private final MessageFormat format;

	private final Generations generations;

	private final StreamingProperties properties;

	private final Clock clock;

	private final KafkaMessageListenerContainer<byte[], byte[]> container;

	ControlListener(ConsumerFactory<byte[], byte[]> factory, MessageFormat format, Generations generations,
			StreamingProperties properties, Clock clock) {
		this.format = format;
		this.generations = generations;
		this.properties = properties;
		this.clock = clock;
		ContainerProperties options = new ContainerProperties(properties.topics().control());
		// a group of its own, which commits nothing
		options.setGroupId(properties.group() + "-control-" + UUID.randomUUID());
		options.setClientId(properties.group() + "-control");
		options.setAckMode(ContainerProperties.AckMode.MANUAL);
		options.setAssignmentCommitOption(ContainerProperties.AssignmentCommitOption.NEVER);
		options.setAuthExceptionRetryInterval(Duration.ofSeconds(10));
		options.setMessageListener(this);
		this.container = new KafkaMessageListenerContainer<>(factory, options);
		this.container.setBeanName("calm-control");
	}

	@Override
	public void onPartitionsAssigned(Map<TopicPartition, Long> assignments, ConsumerSeekCallback callback) {
		callback.seekToTimestamp(assignments.keySet(),
				this.clock.instant().minus(this.properties.cancelMemory()).toEpochMilli());
	}

	@Override
	public void onMessage(ConsumerRecord<byte[], byte[]> cancellation) {
		try {
			if (cancellation.value() != null) {
				this.generations.cancel(this.format.readCancel(cancellation.value()).requestId());
			}
		}
		catch (InvalidMessageException ex) {
			LOG.warn("{} is no cancellation: {}", Outgoing.place(cancellation), ex.getMessage());
		}
	}

	void start() {
		this.container.start();
	}

	boolean isRunning() {
		return this.container.isRunning();
	}

	void stop() {
		this.container.stop();
	}

}

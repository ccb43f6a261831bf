package io.calm.streaming.service;

import java.time.Duration;
import java.util.Set;

import org.apache.kafka.common.TopicPartition;

/**
 * Takes requests up from their topic, until it is stopped.
 */
interface RequestConsumer {

	void start();

	/** Takes nothing up any more, and lets what is in flight end within a time. */
	void stop(Duration grace);

	boolean isRunning();

	/** The partitions that belong to this service alone; none in a share group. */
	Set<TopicPartition> assigned();

}

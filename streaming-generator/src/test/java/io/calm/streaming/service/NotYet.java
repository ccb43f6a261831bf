package io.calm.streaming.service;

import java.util.List;
import java.util.Map;

import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.metrics.KafkaMetric;
import org.apache.kafka.common.metrics.MetricsReporter;

/**
 * Keeps Kafka's clients from being made, as a name that does not resolve or a key that is
 * not mounted does, until there is what they need.
 */
public final class NotYet implements MetricsReporter {

	/** Whether there is. */
	static volatile boolean ready;

	/** Made by Kafka. */
	public NotYet() {
	}

	@Override
	public void configure(Map<String, ?> configuration) {
		if (!ready) {
			throw new KafkaException("No resolvable bootstrap urls given in bootstrap.servers");
		}
	}

	@Override
	public void init(List<KafkaMetric> metrics) {
	}

	@Override
	public void metricChange(KafkaMetric metric) {
	}

	@Override
	public void metricRemoval(KafkaMetric metric) {
	}

	@Override
	public void close() {
	}

}

package io.calm.streaming.service;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

import org.springframework.beans.factory.DisposableBean;
import org.springframework.boot.health.contributor.AbstractHealthIndicator;
import org.springframework.boot.health.contributor.Health;

/**
 * Whether the brokers answer and requests are taken up; which partitions are ours, and
 * how many requests wait in them. A service without partitions is well: there may be more
 * services than these.
 */
final class StreamingHealthIndicator extends AbstractHealthIndicator implements DisposableBean {

	private static final int TIMEOUT_MILLIS = 3000;

	private final StreamingService service;

	private final StreamingProperties properties;

	private final Map<String, Object> connection;

	private @Nullable Admin admin;

	StreamingHealthIndicator(StreamingService service, StreamingProperties properties, Map<String, Object> connection) {
		this.service = service;
		this.properties = properties;
		this.connection = new HashMap<>(connection);
		this.connection.put(AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, TIMEOUT_MILLIS);
		this.connection.put(AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, TIMEOUT_MILLIS);
	}

	@Override
	protected synchronized void doHealthCheck(Health.Builder health) throws InterruptedException {
		try {
			describe(health);
		}
		// an outage is a state, not an error of ours: nothing that belongs into a log at
		// every question
		catch (TimeoutException ex) {
			health.down().withDetail("error", "the brokers do not answer");
		}
		catch (ExecutionException ex) {
			health.down().withDetail("error", "the brokers do not answer: " + ex.getCause());
		}
		catch (KafkaException ex) {
			// such as a name that does not resolve
			health.down()
				.withDetail("error", "the brokers cannot be reached: "
						+ ((ex.getCause() != null) ? ex.getCause().getMessage() : ex.getMessage()));
		}
	}

	private void describe(Health.Builder health) throws InterruptedException, ExecutionException, TimeoutException {
		if (this.admin == null) {
			this.admin = Admin.create(this.connection);
		}
		String cluster = this.admin.describeCluster().clusterId().get(TIMEOUT_MILLIS, TimeUnit.MILLISECONDS);
		if (this.service.takesRequests()) {
			health.up();
		}
		else {
			health.outOfService();
		}
		Set<TopicPartition> assigned = this.service.assigned();
		health.withDetail("cluster", cluster)
			.withDetail("mode", this.properties.mode())
			.withDetail("inFlight", this.service.inFlight().size())
			.withDetail("partitions", assigned.stream().map(TopicPartition::toString).sorted().toList())
			.withDetail("lag", lag(this.admin, assigned));
	}

	/** Requests of our partitions that have not ended. */
	private Map<String, Long> lag(Admin admin, Set<TopicPartition> assigned)
			throws InterruptedException, ExecutionException, TimeoutException {
		Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
		assigned.forEach((partition) -> ends.put(partition, OffsetSpec.latest()));
		Map<TopicPartition, ListOffsetsResultInfo> latest = admin.listOffsets(ends)
			.all()
			.get(TIMEOUT_MILLIS, TimeUnit.MILLISECONDS);
		Map<TopicPartition, OffsetAndMetadata> committed = admin.listConsumerGroupOffsets(this.properties.group())
			.partitionsToOffsetAndMetadata()
			.get(TIMEOUT_MILLIS, TimeUnit.MILLISECONDS);
		Map<String, Long> lag = new TreeMap<>();
		latest.forEach((partition, end) -> {
			OffsetAndMetadata ours = committed.get(partition);
			lag.put(partition.toString(), end.offset() - ((ours != null) ? ours.offset() : 0));
		});
		return lag;
	}

	@Override
	public synchronized void destroy() {
		if (this.admin != null) {
			this.admin.close();
		}
	}

}

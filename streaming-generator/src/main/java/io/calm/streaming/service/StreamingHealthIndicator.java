package io.calm.streaming.service;

import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Function;
import java.util.function.Supplier;
import java.util.stream.Collectors;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.KafkaFuture;
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

	private final Supplier<Admin> connecting;

	/** Guarded by this; several may ask it at once. */
	private @Nullable Admin admin;

	StreamingHealthIndicator(StreamingService service, StreamingProperties properties, Map<String, Object> connection) {
		this(service, properties, () -> {
			Map<String, Object> impatient = new HashMap<>(connection);
			impatient.put(AdminClientConfig.REQUEST_TIMEOUT_MS_CONFIG, TIMEOUT_MILLIS);
			impatient.put(AdminClientConfig.DEFAULT_API_TIMEOUT_MS_CONFIG, TIMEOUT_MILLIS);
			return Admin.create(impatient);
		});
	}

	StreamingHealthIndicator(StreamingService service, StreamingProperties properties, Supplier<Admin> connecting) {
		this.service = service;
		this.properties = properties;
		this.connecting = connecting;
	}

	private synchronized Admin admin() {
		if (this.admin == null) {
			this.admin = this.connecting.get();
		}
		return this.admin;
	}

	/**
	 * Without a lock: whoever asks while brokers do not answer would wait for all before.
	 */
	@Override
	protected void doHealthCheck(Health.Builder health) throws InterruptedException {
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
		Admin admin = admin();
		Set<TopicPartition> assigned = this.service.assigned();
		// all at once, so that they are given up at the same time
		KafkaFuture<String> cluster = admin.describeCluster().clusterId();
		KafkaFuture<Map<TopicPartition, ListOffsetsResultInfo>> latest = admin
			.listOffsets(
					assigned.stream().collect(Collectors.toMap(Function.identity(), (each) -> OffsetSpec.latest())))
			.all();
		KafkaFuture<Map<TopicPartition, OffsetAndMetadata>> committed = admin
			.listConsumerGroupOffsets(this.properties.group())
			.partitionsToOffsetAndMetadata();
		health.withDetail("cluster", answer(cluster));
		if (this.service.takesRequests()) {
			health.up();
		}
		else {
			health.outOfService();
		}
		health.withDetail("mode", this.properties.mode())
			.withDetail("inFlight", this.service.inFlight().size())
			.withDetail("partitions", assigned.stream().map(TopicPartition::toString).sorted().toList())
			.withDetail("lag", lag(answer(latest), answer(committed)));
	}

	private static <T> T answer(KafkaFuture<T> asked)
			throws InterruptedException, ExecutionException, TimeoutException {
		return asked.get(TIMEOUT_MILLIS, TimeUnit.MILLISECONDS);
	}

	/** Requests of our partitions that have not ended. */
	private static Map<String, Long> lag(Map<TopicPartition, ListOffsetsResultInfo> latest,
			Map<TopicPartition, OffsetAndMetadata> committed) {
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

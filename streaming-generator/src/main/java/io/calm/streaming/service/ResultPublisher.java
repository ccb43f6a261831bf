package io.calm.streaming.service;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;

import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.scheduler.Scheduler;
import reactor.core.scheduler.Schedulers;

import org.springframework.kafka.core.KafkaTemplate;

/**
 * Publishes finished texts and the offsets of their requests in one transaction, so that
 * a reader of committed records sees each exactly once. In the order of the offsets: what
 * is finished waits for those before it.
 */
final class ResultPublisher implements AutoCloseable {

	private static final Logger LOG = LoggerFactory.getLogger(ResultPublisher.class);

	private static final long PAUSE_MILLIS = 1000;

	private final Outgoing outgoing;

	private final KafkaTemplate<byte[], byte[]> transactions;

	private final Scheduler thread = Schedulers.newSingle("calm-results", true);

	private final AtomicBoolean scheduled = new AtomicBoolean();

	/** Held for the length of a transaction. */
	private final Object transaction = new Object();

	private volatile Supplier<Map<TopicPartition, RequestPartition>> partitions = Map::of;

	private volatile Runnable published = () -> {
	};

	private volatile @Nullable ConsumerGroupMetadata member;

	/** A publisher with a template that can make transactions. */
	ResultPublisher(Outgoing outgoing, KafkaTemplate<byte[], byte[]> transactions) {
		this.outgoing = outgoing;
		this.transactions = transactions;
	}

	/** Whose results they are. */
	void of(GroupConsumer consumer) {
		this.partitions = consumer::partitions;
		this.published = consumer::published;
	}

	/** Who we are in the group: offsets from anybody else are refused by the broker. */
	void member(ConsumerGroupMetadata member) {
		this.member = member;
	}

	/** Something has ended. */
	void publish() {
		if (this.scheduled.compareAndSet(false, true)) {
			this.thread.schedule(this::publishFronts);
		}
	}

	/** Does something that no transaction may overlap. */
	void betweenTransactions(Runnable action) {
		synchronized (this.transaction) {
			action.run();
		}
	}

	private void publishFronts() {
		this.scheduled.set(false);
		try {
			synchronized (this.transaction) {
				publish(this.partitions.get());
			}
			this.published.run();
		}
		catch (RuntimeException ex) {
			LOG.warn("Results could not be published; that is tried again: {}", ex.toString());
			if (this.scheduled.compareAndSet(false, true)) {
				this.thread.schedule(this::publishFronts, PAUSE_MILLIS, TimeUnit.MILLISECONDS);
			}
		}
	}

	private void publish(Map<TopicPartition, RequestPartition> partitions) {
		Map<RequestPartition, List<RequestPartition.Taken>> fronts = new HashMap<>();
		Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<>();
		List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
		partitions.forEach((name, partition) -> {
			List<RequestPartition.Taken> front = partition.front();
			if (!front.isEmpty()) {
				fronts.put(partition, front);
				offsets.put(name, new OffsetAndMetadata(front.get(front.size() - 1).request().offset() + 1));
				front.forEach((each) -> records.addAll(each.concluding()));
			}
		});
		ConsumerGroupMetadata from = this.member;
		if (fronts.isEmpty() || from == null) {
			return;
		}
		try {
			commit(records, offsets, from);
		}
		catch (RuntimeException ex) {
			if (!Outgoing.isTooLarge(ex)) {
				throw ex;
			}
			commit(records.stream().map(this.outgoing::small).toList(), offsets, from);
		}
		fronts.forEach(RequestPartition::remove);
	}

	private void commit(List<ProducerRecord<byte[], byte[]>> records, Map<TopicPartition, OffsetAndMetadata> offsets,
			ConsumerGroupMetadata from) {
		this.transactions.executeInTransaction((operations) -> {
			records.forEach(operations::send);
			operations.sendOffsetsToTransaction(offsets, from);
			return true;
		});
	}

	@Override
	public void close() {
		this.thread.dispose();
	}

}

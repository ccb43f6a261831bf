package io.calm.streaming.service;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;

import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsOptions;
import org.apache.kafka.clients.admin.ListConsumerGroupOffsetsSpec;
import org.apache.kafka.clients.consumer.ConsumerGroupMetadata;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InterruptException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.scheduler.Schedulers;

import org.springframework.kafka.core.KafkaTemplate;

/**
 * Publishes finished texts and the offsets of their requests in one transaction, so that
 * a reader of committed records sees each exactly once. In the order of the offsets: what
 * is finished waits for those before it. Every partition has transactions of its own: one
 * that cannot be written does not stop the others.
 *
 * <p>
 * When a transaction fails, it may have been committed nevertheless, its answer lost: the
 * committed offset is asked before anything is published again.
 */
final class ResultPublisher {

	private static final Logger LOG = LoggerFactory.getLogger(ResultPublisher.class);

	private static final long PAUSE_MILLIS = 1000;

	private final Outgoing outgoing;

	private final KafkaTemplate<byte[], byte[]> transactions;

	/** Of a client that asks for the offsets. */
	private final Map<String, Object> connection;

	private volatile Runnable published = () -> {
	};

	private volatile @Nullable ConsumerGroupMetadata member;

	/** A publisher with a template that can make transactions. */
	ResultPublisher(Outgoing outgoing, KafkaTemplate<byte[], byte[]> transactions, Map<String, Object> connection) {
		this.outgoing = outgoing;
		this.transactions = transactions;
		this.connection = connection;
	}

	/** Sets what is called after results have been published. */
	void onPublished(Runnable published) {
		this.published = published;
	}

	/** Who we are in the group: offsets from anybody else are refused by the broker. */
	void member(ConsumerGroupMetadata member) {
		this.member = member;
	}

	/** Something has ended. */
	void publish(RequestPartition partition) {
		schedule(partition, 0);
	}

	private void schedule(RequestPartition partition, long millis) {
		if (partition.publishing().compareAndSet(false, true)) {
			Schedulers.boundedElastic().schedule(() -> publishFront(partition), millis, TimeUnit.MILLISECONDS);
		}
	}

	private void publishFront(RequestPartition partition) {
		long next = -1;
		synchronized (partition.transaction()) {
			partition.publishing().set(false);
			ConsumerGroupMetadata from = this.member;
			if (partition.revoked() || from == null) {
				return;
			}
			try {
				if (partition.doubtful()) {
					partition.committed(committed(partition.name(), from.groupId()));
				}
				List<RequestPartition.Taken> front = partition.front();
				if (!front.isEmpty()) {
					next = publish(partition, front, from);
				}
			}
			catch (RuntimeException | Error ex) {
				LOG.warn("The offset of {} could not be asked; that is tried again: {}", partition.name(),
						ex.toString());
				next = PAUSE_MILLIS;
			}
		}
		this.published.run();
		if (next >= 0) {
			schedule(partition, next);
		}
	}

	/**
	 * Publishes the front.
	 * @return in how many milliseconds to go on; negative if nothing is left
	 */
	private long publish(RequestPartition partition, List<RequestPartition.Taken> front, ConsumerGroupMetadata from) {
		try {
			commit(partition.name(), front, from);
			partition.remove(front);
			return partition.front().isEmpty() ? -1 : 0;
		}
		catch (RuntimeException | Error ex) {
			partition.failed();
			LOG.warn("Results of {} could not be published; that is tried again: {}", partition.name(), ex.toString());
			if (!Outgoing.isOfTheTopic(ex)) {
				return PAUSE_MILLIS;
			}
			if (front.size() > 1) {
				// which of them it is
				return 0;
			}
			RequestPartition.Taken first = front.get(0);
			boolean tooLarge = Outgoing.isTooLarge(ex);
			// without dead letters nothing would be left of a request
			boolean waits = first.failed() < Generations.ATTEMPTS
					|| first.concluding().stream().allMatch(this.outgoing::isDeadLetter);
			if (!tooLarge && waits) {
				return PAUSE_MILLIS;
			}
			partition.ended(first, instead(first, tooLarge));
			return 0;
		}
	}

	private void commit(TopicPartition name, List<RequestPartition.Taken> front, ConsumerGroupMetadata from) {
		long next = front.get(front.size() - 1).request().offset() + 1;
		this.transactions.executeInTransaction((operations) -> {
			List<CompletableFuture<?>> sent = front.stream()
				.flatMap((each) -> each.concluding().stream())
				.<CompletableFuture<?>>map(operations::send)
				.toList();
			operations.flush();
			// a record that was refused aborts the transaction here; its commit would
			// fail and leave it open
			joined(sent);
			operations.sendOffsetsToTransaction(Map.of(name, new OffsetAndMetadata(next)), from);
			return true;
		});
	}

	private static void joined(List<CompletableFuture<?>> sent) {
		try {
			sent.forEach(CompletableFuture::join);
		}
		catch (CompletionException ex) {
			throw new org.springframework.kafka.KafkaException("A record was refused", ex.getCause());
		}
	}

	/** The next best that can be told of a request; in the end nothing. */
	private List<ProducerRecord<byte[], byte[]>> instead(RequestPartition.Taken first, boolean tooLarge) {
		List<ProducerRecord<byte[], byte[]>> refused = first.concluding();
		List<ProducerRecord<byte[], byte[]>> letters = refused.stream().filter(this.outgoing::isDeadLetter).toList();
		if (letters.isEmpty()) {
			List<ProducerRecord<byte[], byte[]>> told = Objects.requireNonNull(first.generation()).undelivered();
			return tooLarge ? told : told.stream().filter(this.outgoing::isDeadLetter).toList();
		}
		if (tooLarge && !letters.stream().allMatch(Outgoing::isSmall)) {
			return refused.stream()
				.map((record) -> this.outgoing.isDeadLetter(record) ? Outgoing.small(record) : record)
				.toList();
		}
		if (letters.size() < refused.size()) {
			return letters;
		}
		letters.forEach(this.outgoing::lost);
		return List.of();
	}

	/**
	 * What the group has committed, when no transaction is under way any more.
	 * @return the offset of the next request; 0 if there is none
	 */
	private long committed(TopicPartition name, String group) {
		try (Admin admin = Admin.create(this.connection)) {
			OffsetAndMetadata offset = admin
				.listConsumerGroupOffsets(
						Map.of(group, new ListConsumerGroupOffsetsSpec().topicPartitions(List.of(name))),
						new ListConsumerGroupOffsetsOptions().requireStable(true))
				.partitionsToOffsetAndMetadata(group)
				.get()
				.get(name);
			return (offset != null) ? offset.offset() : 0;
		}
		catch (ExecutionException ex) {
			throw new IllegalStateException(ex.getCause());
		}
		catch (InterruptedException ex) {
			throw new InterruptException(ex);
		}
	}

}

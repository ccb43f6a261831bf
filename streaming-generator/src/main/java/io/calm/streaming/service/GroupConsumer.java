package io.calm.streaming.service;

import java.time.Duration;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.IntSupplier;

import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.WakeupException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.scheduler.Schedulers;

import org.springframework.kafka.core.ConsumerFactory;
import org.springframework.kafka.listener.AcknowledgingConsumerAwareMessageListener;
import org.springframework.kafka.listener.ConsumerAwareRebalanceListener;
import org.springframework.kafka.listener.ContainerProperties;
import org.springframework.kafka.listener.DefaultErrorHandler;
import org.springframework.kafka.listener.KafkaMessageListenerContainer;
import org.springframework.kafka.listener.MessageListenerContainer;
import org.springframework.kafka.support.Acknowledgment;

/**
 * Takes requests up as a member of a consumer group, as many as the engine has slots for
 * and a few more, and pauses. The consumer goes on polling meanwhile, so that a text may
 * take any time. When a partition goes to another member, its texts are abandoned, and
 * begun again there.
 *
 * <p>
 * An attempt's number is made of the group's generation, which grows with every change of
 * its members, and of a count: whoever has got a partition last writes the greatest
 * numbers, even beside one who has not yet noticed that he lost it.
 */
final class GroupConsumer implements RequestConsumer, AcknowledgingConsumerAwareMessageListener<byte[], byte[]>,
		ConsumerAwareRebalanceListener {

	private static final Logger LOG = LoggerFactory.getLogger(GroupConsumer.class);

	private static final Duration FIRST_PAUSE = Duration.ofMillis(500);

	private static final Duration LONGEST_PAUSE = Duration.ofSeconds(30);

	/** Requests that have ended and wait for one before them, for each that may run. */
	private static final int HELD = 64;

	private static final long HELD_BYTES = 64 << 20;

	private final Generations generations;

	private final Outgoing outgoing;

	private final IntSupplier limit;

	private final @Nullable ResultPublisher results;

	private final KafkaMessageListenerContainer<byte[], byte[]> container;

	private final Map<TopicPartition, RequestPartition> partitions = new ConcurrentHashMap<>();

	private final AtomicLong attempts = new AtomicLong();

	/** Guards what follows, and the pausing. */
	private final Object lock = new Object();

	private int running;

	private boolean stopping;

	private boolean asking;

	/**
	 * A consumer.
	 * @param limit how many requests may be in flight
	 * @param results publishes whole texts, or {@code null} to send chunks
	 */
	GroupConsumer(ConsumerFactory<byte[], byte[]> factory, StreamingProperties properties, Generations generations,
			Outgoing outgoing, IntSupplier limit, @Nullable ResultPublisher results) {
		this.generations = generations;
		this.outgoing = outgoing;
		this.limit = limit;
		this.results = results;
		if (results != null) {
			results.onPublished(this::published);
		}
		ContainerProperties options = new ContainerProperties(properties.topics().requests());
		options.setGroupId(properties.group());
		options.setClientId(properties.group());
		options.setAckMode(ContainerProperties.AckMode.MANUAL);
		options.setAuthExceptionRetryInterval(Duration.ofSeconds(10));
		options.setMessageListener(this);
		options.setConsumerRebalanceListener(this);
		this.container = new KafkaMessageListenerContainer<>(factory, options);
		this.container.setBeanName("calm-requests");
		boolean earliest = "earliest"
			.equals(factory.getConfigurationProperties().get(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG));
		this.container.setCommonErrorHandler(new DefaultErrorHandler() {

			@Override
			public void handleOtherException(Exception thrown, Consumer<?, ?> consumer, MessageListenerContainer failed,
					boolean batch) {
				LOG.warn("The consumer goes back to the first request it has not taken up: {}", thrown.toString());
				goBack(consumer, earliest);
			}

		});
	}

	/**
	 * An exception may come between the poll and the listener, as when a commit fails
	 * after a rebalance. What was polled is lost then, and the consumer's place is behind
	 * it.
	 */
	private void goBack(Consumer<?, ?> consumer, boolean earliest) {
		Set<TopicPartition> untouched = new HashSet<>(consumer.assignment());
		this.partitions.forEach((name, partition) -> {
			if (untouched.remove(name)) {
				consumer.seek(name, partition.next());
			}
		});
		while (!untouched.isEmpty() && this.container.isRunning()) {
			try {
				consumer.committed(untouched).forEach((name, place) -> {
					if (place != null) {
						consumer.seek(name, place);
						untouched.remove(name);
					}
				});
				// of no partitions it would be that of all
				if (earliest && !untouched.isEmpty()) {
					consumer.seekToBeginning(untouched);
				}
				return;
			}
			catch (WakeupException | RetriableException ex) {
				LOG.debug("The brokers do not say yet where that is", ex);
			}
		}
	}

	@Override
	public void onMessage(ConsumerRecord<byte[], byte[]> request, @Nullable Acknowledgment acknowledgment,
			@Nullable Consumer<?, ?> consumer) {
		if (acknowledgment == null || consumer == null) {
			throw new IllegalStateException("The container acknowledges by itself");
		}
		RequestPartition partition = this.partitions
			.computeIfAbsent(new TopicPartition(request.topic(), request.partition()), RequestPartition::new);
		RequestPartition.Taken taken = new RequestPartition.Taken(request, acknowledgment,
				consumer.groupMetadata().generationId());
		partition.add(taken);
		change(1);
		attempt(partition, taken, 1, FIRST_PAUSE, null);
	}

	private void attempt(RequestPartition partition, RequestPartition.Taken taken, int number, Duration pause,
			@Nullable Throwable before) {
		if (partition.revoked()) {
			change(-1);
			return;
		}
		CompletableFuture<Void> told;
		try {
			told = begin(partition, taken, number, before);
		}
		catch (RuntimeException | Error ex) {
			told = CompletableFuture.failedFuture(ex);
		}
		told.whenComplete((all, failure) -> {
			Throwable cause = (failure instanceof CompletionException && failure.getCause() != null)
					? failure.getCause() : failure;
			if (cause == null || cause instanceof CancellationException) {
				change(-1);
			}
			else {
				again(partition, taken, number, pause, cause);
			}
		});
	}

	private CompletableFuture<Void> begin(RequestPartition partition, RequestPartition.Taken taken, int number,
			@Nullable Throwable before) {
		long attempt = number(taken.groupGeneration(), this.attempts.incrementAndGet());
		boolean last = number > Generations.ATTEMPTS;
		Generation generation = (last && before != null) ? this.generations.refuse(taken.request(), attempt, before)
				: this.generations.begin(taken.request(), attempt, this.results == null);
		if (!partition.attempts(taken, generation)) {
			generation.abandon();
		}
		return generation.conclusion().thenCompose((records) -> publish(partition, taken, records, last));
	}

	private void again(RequestPartition partition, RequestPartition.Taken taken, int number, Duration pause,
			Throwable cause) {
		int next = number + 1;
		Duration wait = pause;
		Duration longer = pause.multipliedBy(2);
		if (cause instanceof EngineUnavailableException) {
			next = number;
			longer = pause;
			LOG.debug("{} waits: {}", Outgoing.place(taken.request()), cause.getMessage());
		}
		else {
			if (Outgoing.isTooLarge(cause)) {
				// the next attempt would say the same
				next = Generations.ATTEMPTS + 1;
				wait = Duration.ZERO;
			}
			LOG.warn("The attempt at {} is made again in {}: {}", Outgoing.place(taken.request()), wait,
					cause.toString());
		}
		int nextNumber = next;
		Duration nextPause = (longer.compareTo(LONGEST_PAUSE) < 0) ? longer : LONGEST_PAUSE;
		Schedulers.parallel()
			.schedule(() -> attempt(partition, taken, nextNumber, nextPause, cause), wait.toMillis(),
					TimeUnit.MILLISECONDS);
	}

	/**
	 * Grows with the attempts of this member, and is greater for whoever has got the
	 * partition later.
	 */
	static long number(int groupGeneration, long count) {
		return ((long) groupGeneration << Integer.SIZE) + count;
	}

	/** Tells the end of a request; completes when its offset may be committed. */
	private CompletableFuture<Void> publish(RequestPartition partition, RequestPartition.Taken taken,
			List<ProducerRecord<byte[], byte[]>> records, boolean last) {
		if (this.results != null) {
			partition.ended(taken, records);
			this.results.publish(partition);
			return CompletableFuture.completedFuture(null);
		}
		CompletableFuture<Void> sent = last ? this.outgoing.tellLast(records) : this.outgoing.tell(records);
		return sent.thenRun(() -> {
			partition.ended(taken, List.of());
			partition.acknowledgeFront();
		});
	}

	private void change(int by) {
		synchronized (this.lock) {
			this.running += by;
			balance();
			this.lock.notifyAll();
		}
	}

	/** Wakes the consumer too, which commits then. */
	private void balance() {
		synchronized (this.lock) {
			int most = this.limit.getAsInt();
			if (this.stopping || this.running >= most || held() >= HELD * most || heldBytes() >= HELD_BYTES) {
				this.container.pause();
			}
			else {
				this.container.resume();
			}
			if (most == 0 && !this.stopping && !this.asking) {
				// nobody tells when the model is usable again
				this.asking = true;
				Schedulers.parallel().schedule(this::ask, FIRST_PAUSE.toMillis(), TimeUnit.MILLISECONDS);
			}
		}
	}

	private void ask() {
		synchronized (this.lock) {
			this.asking = false;
			balance();
		}
	}

	private int held() {
		return this.partitions.values().stream().mapToInt(RequestPartition::size).sum();
	}

	private long heldBytes() {
		return this.partitions.values().stream().mapToLong(RequestPartition::bytes).sum();
	}

	/** Results have been published. */
	void published() {
		change(0);
	}

	@Override
	public void onPartitionsAssigned(Consumer<?, ?> consumer, Collection<TopicPartition> assigned) {
		LOG.info("Takes requests up from {}", consumer.assignment());
		if (this.results != null) {
			this.results.member(consumer.groupMetadata());
		}
	}

	@Override
	public void onPartitionsRevokedBeforeCommit(Consumer<?, ?> consumer, Collection<TopicPartition> revoked) {
		revoke(revoked);
	}

	@Override
	public void onPartitionsLost(Consumer<?, ?> consumer, Collection<TopicPartition> lost) {
		revoke(lost);
	}

	private void revoke(Collection<TopicPartition> revoked) {
		List.copyOf(revoked).forEach((name) -> {
			RequestPartition partition = this.partitions.remove(name);
			if (partition != null) {
				partition.revoke();
			}
		});
	}

	@Override
	public void start() {
		synchronized (this.lock) {
			this.stopping = false;
		}
		// of a container that ended by itself
		revoke(Set.copyOf(this.partitions.keySet()));
		this.container.start();
	}

	@Override
	public void stop(Duration grace) {
		long deadline = System.nanoTime() + grace.toNanos();
		synchronized (this.lock) {
			this.stopping = true;
			balance();
			try {
				long left = deadline - System.nanoTime();
				while (held() > 0 && left > 0) {
					this.lock.wait(left / 1_000_000 + 1);
					left = deadline - System.nanoTime();
				}
			}
			catch (InterruptedException ex) {
				Thread.currentThread().interrupt();
			}
		}
		if (held() > 0) {
			LOG.warn("{} requests have not ended in {}; another service will begin them again", held(), grace);
		}
		revoke(Set.copyOf(this.partitions.keySet()));
		this.container.stop();
	}

	@Override
	public Set<TopicPartition> assigned() {
		Collection<TopicPartition> assigned = this.container.getAssignedPartitions();
		return (assigned != null) ? Set.copyOf(assigned) : Set.of();
	}

	@Override
	public boolean isRunning() {
		return this.container.isRunning();
	}

}

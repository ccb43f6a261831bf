package io.calm.streaming.service;

import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.IntSupplier;

import io.calm.streaming.FailureReason;
import org.apache.kafka.clients.consumer.AcknowledgeType;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ShareConsumer;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InterruptException;
import org.apache.kafka.common.errors.WakeupException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import org.springframework.kafka.core.ShareConsumerFactory;

/**
 * Takes requests up as a member of a share group (KIP-932): any number of workers on a
 * partition, none behind another. A worker has one request at a time and renews its lock
 * until the text has ended. If the worker dies, the lock expires and another one gets the
 * request; the brokers archive it silently after some deliveries, so that the last of
 * these is not used to try again but to tell.
 *
 * <p>
 * An attempt's number is made of the number of the delivery and of the time. A broker
 * that dies forgets the deliveries that had not come to an end, and counts them once
 * more: the time tells such attempts apart.
 */
final class ShareGroupConsumer implements RequestConsumer {

	private static final Logger LOG = LoggerFactory.getLogger(ShareGroupConsumer.class);

	private static final Duration POLL = Duration.ofSeconds(1);

	private static final int DEFAULT_LOCK_MILLIS = 30_000;

	/** Bits of an attempt's number that hold milliseconds: enough for 500 years. */
	static final int TIME_BITS = 44;

	/** Of a worker that has to give back what it has. */
	private static final Duration LONGEST_STOP = Duration.ofSeconds(10);

	private final ShareConsumerFactory<byte[], byte[]> factory;

	private final StreamingProperties properties;

	private final Generations generations;

	private final Outgoing outgoing;

	private final IntSupplier workers;

	private final List<Worker> running = new ArrayList<>();

	private volatile CountDownLatch stopped = new CountDownLatch(0);

	/**
	 * A consumer.
	 * @param workers how many requests may be in flight
	 */
	ShareGroupConsumer(ShareConsumerFactory<byte[], byte[]> factory, StreamingProperties properties,
			Generations generations, Outgoing outgoing, IntSupplier workers) {
		this.factory = factory;
		this.properties = properties;
		this.generations = generations;
		this.outgoing = outgoing;
		this.workers = workers;
	}

	/**
	 * Grows with the deliveries and, among those that are counted alike, with the time.
	 */
	static long number(int delivery, Instant now) {
		return ((long) delivery << TIME_BITS) + now.toEpochMilli();
	}

	@Override
	public void start() {
		this.stopped = new CountDownLatch(1);
		for (int i = 0; i < this.workers.getAsInt(); i++) {
			Worker worker = new Worker(i);
			this.running.add(worker);
			worker.start();
		}
	}

	@Override
	public void stop(Duration grace) {
		this.stopped.countDown();
		this.running.forEach(Worker::wake);
		long deadline = System.nanoTime() + grace.toNanos();
		try {
			for (Worker each : this.running) {
				each.join(Math.max(1, (deadline - System.nanoTime()) / 1_000_000));
			}
			// those without a request first: what is given back would go to one that
			// still asks, only to be given back again, and deliveries are few
			for (Worker each : this.running) {
				if (each.isIdle()) {
					each.join(2 * POLL.toMillis());
				}
			}
			this.running.forEach(Worker::giveBack);
			for (Worker each : this.running) {
				each.join(LONGEST_STOP.toMillis());
			}
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
		}
		this.running.clear();
	}

	@Override
	public boolean isRunning() {
		return this.stopped.getCount() > 0;
	}

	@Override
	public Set<TopicPartition> assigned() {
		return Set.of();
	}

	/** One consumer with one request at a time. */
	private final class Worker extends Thread {

		private volatile @Nullable ShareConsumer<byte[], byte[]> consumer;

		private volatile @Nullable Generation current;

		private volatile boolean givingBack;

		Worker(int number) {
			super("calm-share-" + number);
			setDaemon(true);
		}

		@Override
		public void run() {
			while (isRunning()) {
				try (ShareConsumer<byte[], byte[]> opened = ShareGroupConsumer.this.factory
					.createShareConsumer(ShareGroupConsumer.this.properties.group(), getName())) {
					this.consumer = opened;
					opened.subscribe(List.of(ShareGroupConsumer.this.properties.topics().requests()));
					boolean whole = true;
					while (isRunning() && whole) {
						// one, as max.poll.records says
						for (ConsumerRecord<byte[], byte[]> request : opened.poll(POLL)) {
							whole &= take(opened, request);
						}
					}
				}
				catch (WakeupException | InterruptException ex) {
					LOG.debug("{} ends", getName());
				}
				// whatever it is: a worker that ends would be a slot less, for good
				catch (RuntimeException | Error ex) {
					LOG.warn("{} begins again: {}", getName(), ex.toString());
					pause();
				}
			}
		}

		boolean isIdle() {
			return this.current == null;
		}

		void wake() {
			ShareConsumer<byte[], byte[]> open = this.consumer;
			if (open != null && isIdle()) {
				open.wakeup();
			}
		}

		void giveBack() {
			this.givingBack = true;
			Generation begun = this.current;
			if (begun != null) {
				begun.abandon();
			}
		}

		/**
		 * Whether the consumer can go on. One whose lock is lost waits for its renewal
		 * for ever, in a loop that takes a core, and keeps its partitions from the
		 * others.
		 */
		private boolean take(ShareConsumer<byte[], byte[]> open, ConsumerRecord<byte[], byte[]> request) {
			if (!isRunning()) {
				return acknowledge(open, request, AcknowledgeType.RELEASE);
			}
			try {
				while (true) {
					CompletableFuture<Void> told = attempt(request);
					while (!isDone(open, told)) {
						if (!renewed(open, request)) {
							LOG.warn("The lock of {} is lost; somebody else begins it again", Outgoing.place(request));
							return false;
						}
					}
					Throwable failure = told.handle((nothing, ex) -> ex).join();
					if (failure == null) {
						return acknowledge(open, request, AcknowledgeType.ACCEPT);
					}
					// before the next delivery, of which there are not many
					pause();
					if (!isHere(request, failure)) {
						LOG.info("{} is given back", Outgoing.place(request));
						return acknowledge(open, request, AcknowledgeType.RELEASE);
					}
					if (!renewed(open, request)) {
						return false;
					}
				}
			}
			finally {
				Generation begun = this.current;
				if (begun != null) {
					begun.abandon();
				}
				this.current = null;
			}
		}

		/**
		 * Whether the next attempt is made here: another delivery would be one less, and
		 * after the last one the brokers archive a request without a word.
		 */
		private boolean isHere(ConsumerRecord<byte[], byte[]> request, Throwable failure) {
			Throwable cause = (failure instanceof CompletionException) ? failure.getCause() : failure;
			return isRunning() && !this.givingBack && (cause instanceof EngineUnavailableException || isLast(request));
		}

		private CompletableFuture<Void> attempt(ConsumerRecord<byte[], byte[]> request) {
			boolean last = isLast(request);
			int delivery = delivery(request);
			long number = number(delivery, Instant.now());
			Generation begun = last
					? ShareGroupConsumer.this.generations.refuse(request, number, FailureReason.TOO_MANY_DELIVERIES,
							"the request was taken up " + (delivery - 1) + " times without coming to an end")
					: ShareGroupConsumer.this.generations.begin(request, number, true);
			this.current = begun;
			if (this.givingBack) {
				begun.abandon();
			}
			Outgoing to = ShareGroupConsumer.this.outgoing;
			return begun.conclusion().thenCompose(last ? to::tellLast : to::tell);
		}

		private static int delivery(ConsumerRecord<byte[], byte[]> request) {
			return request.deliveryCount().orElse((short) 1);
		}

		private boolean isLast(ConsumerRecord<byte[], byte[]> request) {
			return delivery(request) >= ShareGroupConsumer.this.properties.share().deliveries();
		}

		/** Waits for half of the lock's time. */
		private boolean isDone(ShareConsumer<byte[], byte[]> open, CompletableFuture<Void> told) {
			int lock = open.acquisitionLockTimeoutMs().orElse(DEFAULT_LOCK_MILLIS);
			try {
				told.get(lock / 2, TimeUnit.MILLISECONDS);
				return true;
			}
			catch (TimeoutException ex) {
				return false;
			}
			catch (ExecutionException | CancellationException ex) {
				return true;
			}
			catch (InterruptedException ex) {
				throw new InterruptException(ex);
			}
		}

		/** A lock that is renewed comes back as a record that is polled again. */
		private boolean renewed(ShareConsumer<byte[], byte[]> open, ConsumerRecord<byte[], byte[]> request) {
			if (!acknowledge(open, request, AcknowledgeType.RENEW)) {
				return false;
			}
			boolean back = false;
			for (ConsumerRecord<byte[], byte[]> each : open.poll(POLL)) {
				if (each.offset() == request.offset() && each.partition() == request.partition()) {
					back = true;
				}
				else {
					acknowledge(open, each, AcknowledgeType.RELEASE);
				}
			}
			return back;
		}

		private boolean acknowledge(ShareConsumer<byte[], byte[]> open, ConsumerRecord<byte[], byte[]> request,
				AcknowledgeType type) {
			open.acknowledge(request, type);
			List<KafkaException> failures = open.commitSync().values().stream().flatMap(Optional::stream).toList();
			failures
				.forEach((ex) -> LOG.warn("Request {}: {} failed: {}", Outgoing.place(request), type, ex.toString()));
			return failures.isEmpty();
		}

		private void pause() {
			try {
				ShareGroupConsumer.this.stopped.await(POLL.toMillis(), TimeUnit.MILLISECONDS);
			}
			catch (InterruptedException ex) {
				interrupt();
			}
		}

	}

}

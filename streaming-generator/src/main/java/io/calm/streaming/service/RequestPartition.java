package io.calm.streaming.service;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.jspecify.annotations.Nullable;

import org.springframework.kafka.support.Acknowledgment;

/**
 * The requests of a partition that have been taken up, in the order of their offsets.
 * They end in any order; an offset may be committed when all before it have ended.
 */
final class RequestPartition {

	private final TopicPartition name;

	private final Deque<Taken> taken = new ArrayDeque<>();

	/** The offset behind the last request that was taken up. */
	private long next;

	private boolean revoked;

	private boolean doubtful;

	private boolean oneByOne;

	/** Held for the length of a transaction. */
	private final Object transaction = new Object();

	/** Whether somebody is about to publish the front. */
	private final AtomicBoolean publishing = new AtomicBoolean();

	RequestPartition(TopicPartition name) {
		this.name = name;
	}

	TopicPartition name() {
		return this.name;
	}

	/** A request and what became of it. */
	static final class Taken {

		private final ConsumerRecord<byte[], byte[]> request;

		private final Acknowledgment acknowledgment;

		private final int groupGeneration;

		private @Nullable Generation generation;

		private @Nullable List<ProducerRecord<byte[], byte[]>> concluding;

		private int failures;

		Taken(ConsumerRecord<byte[], byte[]> request, Acknowledgment acknowledgment, int groupGeneration) {
			this.request = request;
			this.acknowledgment = acknowledgment;
			this.groupGeneration = groupGeneration;
		}

		ConsumerRecord<byte[], byte[]> request() {
			return this.request;
		}

		int groupGeneration() {
			return this.groupGeneration;
		}

		@Nullable Generation generation() {
			return this.generation;
		}

		/** What tells of its end and is still to be published. */
		List<ProducerRecord<byte[], byte[]>> concluding() {
			return (this.concluding != null) ? this.concluding : List.of();
		}

		/** How often that could not be written. */
		int failed() {
			return ++this.failures;
		}

		private long bytes() {
			return Math.max(0, this.request.serializedKeySize()) + Math.max(0, this.request.serializedValueSize());
		}

	}

	synchronized void add(Taken request) {
		this.taken.add(request);
		this.next = request.request.offset() + 1;
	}

	synchronized long next() {
		return this.next;
	}

	/** Notes who works on a request; false if the partition is somebody else's by now. */
	synchronized boolean attempts(Taken request, Generation generation) {
		request.generation = generation;
		return !this.revoked;
	}

	synchronized void ended(Taken request, List<ProducerRecord<byte[], byte[]>> concluding) {
		request.concluding = concluding;
	}

	/** The requests at the front that have ended, or the first of them. */
	synchronized List<Taken> front() {
		List<Taken> front = new ArrayList<>();
		for (Taken each : this.taken) {
			if (each.concluding == null || (this.oneByOne && !front.isEmpty())) {
				break;
			}
			front.add(each);
		}
		return front;
	}

	/** Forgets requests of the front. */
	synchronized void remove(List<Taken> front) {
		this.taken.removeAll(front);
		this.oneByOne = false;
	}

	/**
	 * Whether the last transaction may have been committed or not: its answer was lost,
	 * or never sent.
	 */
	synchronized boolean doubtful() {
		return this.doubtful;
	}

	/** The front could not be published: next time its first alone. */
	synchronized void failed() {
		this.doubtful = true;
		this.oneByOne = true;
	}

	/** Forgets requests that have been published after all. */
	synchronized void committed(long offset) {
		this.taken.removeIf((each) -> each.request.offset() < offset);
		this.doubtful = false;
	}

	Object transaction() {
		return this.transaction;
	}

	AtomicBoolean publishing() {
		return this.publishing;
	}

	/**
	 * Acknowledges the front and forgets it; under the lock, so that a smaller offset
	 * never follows a greater one.
	 */
	synchronized void acknowledgeFront() {
		List<Taken> front = front();
		if (!front.isEmpty()) {
			remove(front);
			front.get(front.size() - 1).acknowledgment.acknowledge();
		}
	}

	/** Of the requests, which stay in memory until all before them have ended. */
	synchronized long bytes() {
		return this.taken.stream().mapToLong(Taken::bytes).sum();
	}

	synchronized int size() {
		return this.taken.size();
	}

	synchronized boolean revoked() {
		return this.revoked;
	}

	/** Gives the partition up: whoever gets it makes the next attempts. */
	void revoke() {
		List<Generation> abandoned;
		// not in the middle of a transaction
		synchronized (this.transaction) {
			synchronized (this) {
				this.revoked = true;
				abandoned = this.taken.stream().map((each) -> each.generation).filter(Objects::nonNull).toList();
				this.taken.clear();
			}
		}
		abandoned.forEach(Generation::abandon);
	}

}

package io.calm.streaming.service;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Objects;

import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.jspecify.annotations.Nullable;

import org.springframework.kafka.support.Acknowledgment;

/**
 * The requests of a partition that have been taken up, in the order of their offsets.
 * They end in any order; an offset may be committed when all before it have ended.
 */
final class RequestPartition {

	private final Deque<Taken> taken = new ArrayDeque<>();

	private boolean revoked;

	/** A request and what became of it. */
	static final class Taken {

		private final ConsumerRecord<byte[], byte[]> request;

		private final Acknowledgment acknowledgment;

		private final int groupGeneration;

		private @Nullable Generation generation;

		private @Nullable List<ProducerRecord<byte[], byte[]>> concluding;

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

		/** What tells of its end and is still to be published. */
		List<ProducerRecord<byte[], byte[]>> concluding() {
			return (this.concluding != null) ? this.concluding : List.of();
		}

	}

	synchronized void add(Taken request) {
		this.taken.add(request);
	}

	/** Notes who works on a request; false if the partition is somebody else's by now. */
	synchronized boolean attempts(Taken request, Generation generation) {
		request.generation = generation;
		return !this.revoked;
	}

	synchronized void ended(Taken request, List<ProducerRecord<byte[], byte[]>> concluding) {
		request.concluding = concluding;
	}

	/** The requests at the front that have ended. */
	synchronized List<Taken> front() {
		List<Taken> front = new ArrayList<>();
		for (Taken each : this.taken) {
			if (each.concluding == null) {
				break;
			}
			front.add(each);
		}
		return front;
	}

	/** Forgets requests of the front. */
	synchronized void remove(List<Taken> front) {
		this.taken.removeAll(front);
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

	synchronized int size() {
		return this.taken.size();
	}

	synchronized boolean revoked() {
		return this.revoked;
	}

	/** Gives the partition up: whoever gets it makes the next attempts. */
	void revoke() {
		List<Generation> abandoned;
		synchronized (this) {
			this.revoked = true;
			abandoned = this.taken.stream().map((each) -> each.generation).filter(Objects::nonNull).toList();
			this.taken.clear();
		}
		abandoned.forEach(Generation::abandon);
	}

}

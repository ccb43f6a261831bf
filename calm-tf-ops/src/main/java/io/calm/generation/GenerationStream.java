package io.calm.generation;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Iterator;
import java.util.NoSuchElementException;
import java.util.Queue;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.concurrent.CancellationException;
import java.util.concurrent.Executor;
import java.util.concurrent.Executors;
import java.util.concurrent.Flow;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;

import org.jspecify.annotations.Nullable;

/**
 * A text that is being generated, for one reader: to be iterated over (the iterator waits
 * for the next chunk) or subscribed to. A text that is far ahead of its reader waits for
 * him, as long as {@link EngineOptions#readerTimeout()}. Reading it to the end, or
 * closing it, frees its slot at once: who leaves a loop over it early closes it.
 */
public final class GenerationStream implements Iterable<Chunk>, Flow.Publisher<Chunk>, AutoCloseable {

	/**
	 * As many threads as texts are being delivered: those of the common pool may all be
	 * waiting for just these texts.
	 */
	private static final Executor DELIVERY = Executors.newCachedThreadPool((task) -> {
		Thread thread = new Thread(task, "calm-delivery");
		thread.setDaemon(true);
		return thread;
	});

	private final int promptTokens;

	private final int limit;

	/** Tells the engine that something has changed. */
	private final Runnable wake;

	private final Queue<Chunk> buffer = new ArrayDeque<>();

	/** If the buffer is full. */
	private long fullSince;

	private final long accepted = System.nanoTime();

	private @Nullable Duration queueTime;

	private int approximatePatches;

	private boolean complete;

	private boolean cancelled;

	private @Nullable RuntimeException failure;

	private boolean hasReader;

	private @Nullable Delivery delivery;

	GenerationStream(int promptTokens, int limit, Runnable wake) {
		this.promptTokens = promptTokens;
		this.limit = limit;
		this.wake = wake;
	}

	/**
	 * How long the prompt is.
	 * @return its tokens, without BOS and PADs
	 */
	public int promptTokens() {
		return this.promptTokens;
	}

	/**
	 * How long the text has waited for its slot.
	 * @return the time, or {@code null} if it has none yet
	 */
	public synchronized @Nullable Duration queueTime() {
		return this.queueTime;
	}

	/**
	 * Where exact sampling was asked for and ran out of its budget of draws.
	 * @return how many patches so far were chosen by batch sampling among the draws made
	 * until then
	 */
	public synchronized int approximatePatches() {
		return this.approximatePatches;
	}

	synchronized void countApproximate() {
		this.approximatePatches++;
	}

	/**
	 * The chunks, each as soon as it is there.
	 * @return the only iterator
	 * @throws IllegalStateException if the text has a reader already; the iterator throws
	 * it if the engine was closed before the end of the text
	 */
	@Override
	public Iterator<Chunk> iterator() {
		takeReader();
		return new Iterator<>() {
			@Override
			public boolean hasNext() {
				return await();
			}

			@Override
			public Chunk next() {
				if (!await()) {
					throw new NoSuchElementException();
				}
				return take();
			}
		};
	}

	/**
	 * The chunks as a stream, whose closing cancels the text.
	 * @return the only stream
	 */
	public Stream<Chunk> stream() {
		return StreamSupport
			.stream(Spliterators.spliteratorUnknownSize(iterator(), Spliterator.ORDERED | Spliterator.NONNULL), false)
			.onClose(this::cancel);
	}

	/**
	 * Waits for the end.
	 * @return the whole text
	 */
	public String text() {
		return stream().map(Chunk::text).collect(Collectors.joining());
	}

	/**
	 * Delivers the chunks to a subscriber, as many as it requests, on a thread that
	 * nothing else waits for.
	 * @param subscriber the only reader
	 */
	@Override
	public void subscribe(Flow.Subscriber<? super Chunk> subscriber) {
		takeReader();
		Delivery started = new Delivery(subscriber);
		synchronized (this) {
			this.delivery = started;
		}
		subscriber.onSubscribe(started);
		started.signal();
	}

	/**
	 * Ends the generation; what was not read is dropped. Does nothing after the end.
	 */
	public void cancel() {
		synchronized (this) {
			if (this.complete) {
				return;
			}
			this.cancelled = true;
			this.complete = true;
			this.buffer.clear();
			notifyAll();
		}
		this.wake.run();
	}

	/** Cancels what is not finished. */
	@Override
	public void close() {
		cancel();
	}

	/** It has got its slot. */
	synchronized void begin() {
		this.queueTime = Duration.ofNanos(System.nanoTime() - this.accepted);
	}

	synchronized boolean cancelled() {
		return this.cancelled;
	}

	/** Whether the reader has kept up. */
	synchronized boolean hasRoom() {
		return this.buffer.size() < this.limit;
	}

	/** For how many nanoseconds the text has been waiting for its reader. */
	synchronized long unread(long now) {
		return hasRoom() ? 0 : now - this.fullSince;
	}

	/** Adds the next chunk, which is the last one if it has a finish reason. */
	void add(Chunk chunk) {
		synchronized (this) {
			if (!this.complete) {
				this.buffer.add(chunk);
				this.fullSince = System.nanoTime();
				this.complete = chunk.finishReason() != null;
				notifyAll();
			}
		}
		signalDelivery();
	}

	void fail(RuntimeException failure) {
		synchronized (this) {
			if (!this.complete) {
				this.failure = failure;
				this.complete = true;
				notifyAll();
			}
		}
		signalDelivery();
	}

	private void signalDelivery() {
		Delivery started;
		synchronized (this) {
			started = this.delivery;
		}
		if (started != null) {
			started.signal();
		}
	}

	private synchronized void takeReader() {
		if (this.hasReader) {
			throw new IllegalStateException("This text has a reader already");
		}
		this.hasReader = true;
	}

	/** Waits for a chunk or the end. */
	private boolean await() {
		try {
			return awaitChunk();
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
			// not under this object's monitor, which the engine takes under its own lock
			cancel();
			throw new CancellationException("Interrupted while waiting for text; the generation is cancelled");
		}
	}

	private synchronized boolean awaitChunk() throws InterruptedException {
		while (this.buffer.isEmpty() && !this.complete) {
			wait();
		}
		if (this.buffer.isEmpty() && this.failure != null) {
			throw this.failure;
		}
		return !this.buffer.isEmpty();
	}

	private Chunk take() {
		Chunk chunk;
		boolean wasFull;
		synchronized (this) {
			wasFull = this.buffer.size() >= this.limit;
			chunk = this.buffer.remove();
		}
		if (wasFull) {
			this.wake.run();
		}
		return chunk;
	}

	/** What a subscriber has requested and not yet got. */
	private final class Delivery implements Flow.Subscription {

		private final Flow.Subscriber<? super Chunk> subscriber;

		private long demand;

		/** Signals that nobody has looked at; the one who makes it 1 delivers. */
		private int signals;

		private boolean ended;

		private @Nullable RuntimeException mistake;

		Delivery(Flow.Subscriber<? super Chunk> subscriber) {
			this.subscriber = subscriber;
		}

		@Override
		public void request(long n) {
			synchronized (this) {
				if (n < 1) {
					this.mistake = new IllegalArgumentException("a subscriber must request at least 1, not " + n);
				}
				this.demand = (this.demand + n < 0) ? Long.MAX_VALUE : this.demand + n;
			}
			signal();
		}

		@Override
		public void cancel() {
			synchronized (this) {
				this.ended = true;
			}
			GenerationStream.this.cancel();
		}

		void signal() {
			synchronized (this) {
				if (this.signals++ > 0) {
					return;
				}
			}
			DELIVERY.execute(this::deliver);
		}

		/** One thread at a time. */
		private void deliver() {
			int seen;
			do {
				synchronized (this) {
					seen = this.signals;
				}
				while (deliverOne()) {
					// until there is nothing to deliver or nobody wants it
				}
				synchronized (this) {
					this.signals -= seen;
					seen = this.signals;
				}
			}
			while (seen > 0);
		}

		private boolean deliverOne() {
			boolean wanted;
			synchronized (this) {
				if (this.ended) {
					return false;
				}
				wanted = this.demand > 0;
			}
			if (this.mistake != null) {
				end();
				GenerationStream.this.cancel();
				this.subscriber.onError(this.mistake);
				return false;
			}
			boolean empty;
			boolean complete;
			RuntimeException failed;
			synchronized (GenerationStream.this) {
				empty = GenerationStream.this.buffer.isEmpty();
				complete = GenerationStream.this.complete;
				failed = GenerationStream.this.failure;
			}
			if (empty && complete) {
				end();
				if (failed != null) {
					this.subscriber.onError(failed);
				}
				else {
					this.subscriber.onComplete();
				}
				return false;
			}
			if (empty || !wanted) {
				return false;
			}
			synchronized (this) {
				this.demand--;
			}
			try {
				this.subscriber.onNext(take());
			}
			catch (RuntimeException ex) {
				// a subscriber that throws is gone
				cancel();
			}
			catch (Error ex) {
				cancel();
				throw ex;
			}
			return true;
		}

		private synchronized void end() {
			this.ended = true;
		}

	}

}

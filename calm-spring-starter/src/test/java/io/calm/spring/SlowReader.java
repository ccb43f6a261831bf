package io.calm.spring;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;

import io.calm.generation.Chunk;
import org.reactivestreams.Subscription;
import reactor.core.publisher.BaseSubscriber;

/**
 * Reads a chunk only when it is told to, so that a text stays in its slot.
 */
final class SlowReader extends BaseSubscriber<Chunk> {

	private final List<Chunk> chunks = new CopyOnWriteArrayList<>();

	private final CompletableFuture<List<Chunk>> all = new CompletableFuture<>();

	private final CompletableFuture<Chunk> first = new CompletableFuture<>();

	/** A reader who takes one chunk at once. */
	@Override
	protected void hookOnSubscribe(Subscription subscription) {
		subscription.request(1);
	}

	@Override
	protected void hookOnNext(Chunk chunk) {
		this.chunks.add(chunk);
		this.first.complete(chunk);
	}

	@Override
	protected void hookOnComplete() {
		this.all.complete(this.chunks);
	}

	@Override
	protected void hookOnError(Throwable failure) {
		this.first.completeExceptionally(failure);
		this.all.completeExceptionally(failure);
	}

	/** Waits until the text has begun. */
	SlowReader begun() {
		this.first.join();
		return this;
	}

	/** Reads the rest. */
	CompletableFuture<List<Chunk>> rest() {
		requestUnbounded();
		return this.all;
	}

}

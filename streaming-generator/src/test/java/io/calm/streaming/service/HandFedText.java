package io.calm.streaming.service;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

import io.calm.generation.BusyEngine;
import io.calm.generation.Chunk;
import io.calm.generation.FinishReason;
import io.calm.generation.GenerationRequest;
import io.calm.spring.TextGenerator;
import org.jspecify.annotations.Nullable;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Sinks;

/**
 * Says only what the test tells it to, when it tells it. A prompt of digits is answered
 * at once, with as many chunks.
 */
final class HandFedText implements TextGenerator {

	/** A prompt that no tokenizer survives. */
	static final String ERROR = "error";

	private final List<Feed> feeds = new CopyOnWriteArrayList<>();

	/** How many texts the engine is too busy for. */
	private final AtomicInteger busy = new AtomicInteger();

	private final AtomicInteger open = new AtomicInteger();

	private final AtomicInteger mostOpen = new AtomicInteger();

	/** A text in the making. */
	static final class Feed {

		private final GenerationRequest request;

		private final Sinks.Many<Chunk> sink = Sinks.many().unicast().onBackpressureBuffer();

		private int said;

		private volatile boolean cancelled;

		Feed(GenerationRequest request) {
			this.request = request;
		}

		GenerationRequest request() {
			return this.request;
		}

		boolean cancelled() {
			return this.cancelled;
		}

		Feed say(String... texts) {
			for (String text : texts) {
				this.sink.tryEmitNext(chunk(this.said++, text, null));
			}
			return this;
		}

		void end(FinishReason reason) {
			this.sink.tryEmitNext(chunk(this.said++, ".", reason));
			this.sink.tryEmitComplete();
		}

		/** As the engine says it of a text that has waited for too long. */
		void expire() {
			this.sink.tryEmitNext(new Chunk(this.said, new int[0], "", FinishReason.DEADLINE));
			this.sink.tryEmitComplete();
		}

		void fail(RuntimeException failure) {
			this.sink.tryEmitError(failure);
		}

		private static Chunk chunk(int index, String text, @Nullable FinishReason reason) {
			return new Chunk(index, new int[] { index }, text, reason);
		}

	}

	/** Refuses the next texts as a full engine does. */
	AtomicInteger busy() {
		return this.busy;
	}

	/** The texts that have begun, in their order. */
	List<Feed> feeds() {
		return this.feeds;
	}

	/** The texts that have begun with a prompt, in their order. */
	List<Feed> feeds(String prompt) {
		return this.feeds.stream().filter((feed) -> feed.request().prompt().equals(prompt)).toList();
	}

	/** How many texts were open at the same time. */
	int mostOpen() {
		return this.mostOpen.get();
	}

	@Override
	public Flux<Chunk> stream(String prompt, Consumer<GenerationRequest.Builder> options) {
		return Flux.defer(() -> {
			GenerationRequest request = GenerationRequest.of(prompt, options);
			if (this.busy.getAndUpdate((left) -> Math.max(0, left - 1)) > 0) {
				return Flux.error(BusyEngine.exception());
			}
			this.mostOpen.accumulateAndGet(this.open.incrementAndGet(), Math::max);
			Flux<Chunk> text = prompt.matches("\\d+") ? counted(Integer.parseInt(prompt)) : fed(request);
			return text.doFinally((signal) -> this.open.decrementAndGet());
		});
	}

	private static Flux<Chunk> counted(int chunks) {
		return Flux.range(0, chunks)
			.map((index) -> Feed.chunk(index, " " + index, (index == chunks - 1) ? FinishReason.END : null));
	}

	private Flux<Chunk> fed(GenerationRequest request) {
		Feed feed = new Feed(request);
		this.feeds.add(feed);
		return feed.sink.asFlux().doOnCancel(() -> feed.cancelled = true);
	}

	@Override
	public int countTokens(String text) {
		if (text.equals(ERROR)) {
			throw new StackOverflowError("of the tokenizer");
		}
		return text.length();
	}

}

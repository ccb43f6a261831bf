package io.calm.streaming.service;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;

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

	private final List<Feed> feeds = new CopyOnWriteArrayList<>();

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

		void fail(RuntimeException failure) {
			this.sink.tryEmitError(failure);
		}

		private static Chunk chunk(int index, String text, @Nullable FinishReason reason) {
			return new Chunk(index, new int[] { index }, text, reason);
		}

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
		return text.length();
	}

}

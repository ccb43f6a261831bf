package io.calm.streaming.service;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;

import io.calm.generation.Chunk;
import io.calm.generation.EngineBusyException;
import io.calm.input.InvalidInputException;
import io.calm.spring.TextGenerator;
import io.calm.streaming.FailureReason;
import io.calm.streaming.InvalidMessageException;
import io.calm.streaming.TextChunk;
import io.micrometer.observation.Observation;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

/**
 * One attempt at a request. Its chunks are sent as they come, or gathered; the records
 * that conclude it are left to whoever began it.
 */
final class Generation {

	private static final Logger LOG = LoggerFactory.getLogger(Generation.class);

	private final ConsumerRecord<byte[], byte[]> request;

	private final String id;

	private final long attempt;

	private final boolean streaming;

	private final Outgoing outgoing;

	private final Observation observation;

	private final RequestObservationContext seen;

	private final Instant since = Instant.now();

	private final CompletableFuture<List<ProducerRecord<byte[], byte[]>>> conclusion = new CompletableFuture<>();

	private final Sinks.Empty<Void> cancelled = Sinks.empty();

	private final Disposable.Swap work = Disposables.swap();

	/** What is not sent chunk by chunk. */
	private final StringBuilder gathered = new StringBuilder();

	private Destination destination;

	private int promptTokens;

	private volatile int chunks;

	private volatile int tokens;

	Generation(ConsumerRecord<byte[], byte[]> request, String id, long attempt, boolean streaming, Outgoing outgoing,
			Destination usual, Observation observation, RequestObservationContext seen) {
		this.request = request;
		this.id = id;
		this.attempt = attempt;
		this.streaming = streaming;
		this.outgoing = outgoing;
		this.destination = usual;
		this.observation = observation;
		this.seen = seen;
	}

	ConsumerRecord<byte[], byte[]> request() {
		return this.request;
	}

	String id() {
		return this.id;
	}

	long attempt() {
		return this.attempt;
	}

	Instant since() {
		return this.since;
	}

	int chunks() {
		return this.chunks;
	}

	int tokens() {
		return this.tokens;
	}

	/**
	 * The end of the attempt.
	 * @return completes with the records that tell of it; with
	 * {@link CancellationException} if it was abandoned; otherwise, if it failed in a way
	 * that the next attempt may not
	 */
	CompletableFuture<List<ProducerRecord<byte[], byte[]>>> conclusion() {
		return this.conclusion;
	}

	/** Begins, unless it has been cancelled or abandoned already. */
	void start(Admission admission, TextGenerator generator) {
		this.observation.start();
		this.conclusion.whenComplete((records, failure) -> {
			this.seen.ended(failure);
			this.observation.stop();
		});
		this.work.update(Mono.fromCallable(() -> {
			this.destination = Destination.chosen(this.request, this.outgoing.properties());
			Admission.Admitted admitted = admission.admit(this.request, this.id, this.destination);
			this.promptTokens = admitted.promptTokens();
			this.seen.begun();
			return admitted;
		})
			.subscribeOn(Schedulers.boundedElastic())
			.flatMapMany((admitted) -> generator.stream(admitted.prompt(), admitted.options()))
			.takeUntilOther(this.cancelled.asMono())
			// the end of a cancelled text comes from another thread: here, they queue
			.publishOn(Schedulers.boundedElastic(), 1)
			.contextWrite((context) -> context.put(ObservationThreadLocalAccessor.KEY, this.observation))
			.subscribe(this::received, this::failed, this::stopped));
	}

	/** Ends the text; its reader learns of it. */
	void cancel() {
		this.cancelled.tryEmitEmpty();
	}

	/** Ends the attempt without a word: somebody else will make the next one. */
	void abandon() {
		this.conclusion.completeExceptionally(new CancellationException("abandoned"));
		this.work.dispose();
	}

	/** Refuses the request without an attempt. */
	void refuse(FailureReason reason, String message) {
		this.observation.start();
		fail(reason, message);
		this.seen.ended(null);
		this.observation.stop();
	}

	private void received(Chunk chunk) {
		this.tokens += chunk.tokens().length;
		this.seen.received(chunk);
		if (chunk.finishReason() == null) {
			add(chunk);
			return;
		}
		switch (chunk.finishReason()) {
			case END -> conclude(chunk, TextChunk.Status.COMPLETED, TextChunk.FinishReason.END);
			case STOP -> conclude(chunk, TextChunk.Status.COMPLETED, TextChunk.FinishReason.STOP);
			case LENGTH -> conclude(chunk, TextChunk.Status.COMPLETED, TextChunk.FinishReason.LENGTH);
			case DEADLINE -> late(chunk);
		}
	}

	private void add(Chunk chunk) {
		int number = this.chunks++;
		if (this.streaming) {
			send(new TextChunk(this.id, this.attempt, number, chunk.text(), chunk.tokens().length, null));
		}
		else {
			this.gathered.append(chunk.text());
		}
	}

	private void send(TextChunk chunk) {
		this.outgoing.send(this.outgoing.chunk(this.destination, chunk)).whenComplete((result, failure) -> {
			// it may have been dropped by a full broker or a topic that went away: a
			// stream with a gap is none, the next attempt has to do better
			if (failure != null && this.conclusion.completeExceptionally(failure)) {
				this.work.dispose();
			}
		});
	}

	private void late(Chunk chunk) {
		if (this.tokens == 0) {
			fail(FailureReason.DEADLINE_PASSED, "the deadline passed while the request waited for a slot");
		}
		else {
			conclude(chunk, TextChunk.Status.CANCELLED, TextChunk.FinishReason.DEADLINE);
		}
	}

	/** Cancelled; or the end after the last chunk, which says nothing new. */
	private void stopped() {
		if (!this.conclusion.isDone()) {
			conclude(new Chunk(0, new int[0], "", null), TextChunk.Status.CANCELLED, TextChunk.FinishReason.CANCELLED);
		}
	}

	private void failed(Throwable failure) {
		if (failure instanceof InvalidMessageException refused) {
			if (refused.reason() == FailureReason.REPLY_NOT_ALLOWED) {
				this.destination = Destination.usual(this.request, this.outgoing.properties());
			}
			fail(refused.reason(), String.valueOf(refused.getMessage()));
		}
		else if (failure instanceof InvalidInputException) {
			// the only check left to the engine
			fail(FailureReason.LIMIT_EXCEEDED, String.valueOf(failure.getMessage()));
		}
		else if (failure instanceof EngineBusyException) {
			this.conclusion.completeExceptionally(failure);
		}
		else if (!this.conclusion.isDone()) {
			LOG.warn("Request {} failed", this.id, failure);
			fail(FailureReason.MODEL_FAILED, "the generation failed");
		}
	}

	private void fail(FailureReason reason, String message) {
		conclude(new Chunk(0, new int[0], "", null), TextChunk.Status.FAILED, null,
				new TextChunk.Failure(reason, message));
	}

	private void conclude(Chunk last, TextChunk.Status status, TextChunk.FinishReason reason) {
		conclude(last, status, reason, null);
	}

	private void conclude(Chunk last, TextChunk.Status status, TextChunk.@Nullable FinishReason reason,
			TextChunk.@Nullable Failure failure) {
		TextChunk.Usage usage = new TextChunk.Usage(this.promptTokens, this.tokens);
		int number = this.streaming ? this.chunks : 0;
		String text = this.streaming ? last.text() : this.gathered + last.text();
		int tokensOfChunk = this.streaming ? last.tokens().length : this.tokens;
		TextChunk chunk = new TextChunk(this.id, this.attempt, number, text, tokensOfChunk,
				new TextChunk.End(status, reason, failure, usage, number + 1));
		this.seen.concluded(Objects.requireNonNull(chunk.end()));
		List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
		if (failure != null) {
			records.add(this.outgoing.deadLetter(this.request, failure.reason(), failure.message()));
		}
		records.add(this.outgoing.chunk(this.destination, chunk));
		this.conclusion.complete(records);
	}

}

package io.calm.streaming.service;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.BooleanSupplier;
import java.util.function.Function;
import java.util.function.Supplier;

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
import org.apache.kafka.common.KafkaException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import reactor.core.Disposable;
import reactor.core.Disposables;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;
import reactor.core.publisher.Sinks;
import reactor.core.scheduler.Schedulers;

/**
 * One attempt at a request. Its chunks are sent as they come, or gathered; the records
 * that conclude it are left to whoever began it.
 */
final class Generation {

	private static final Logger LOG = LoggerFactory.getLogger(Generation.class);

	/** A format of the application's own might quote what it could not read. */
	private static final int LONGEST_MESSAGE = 1000;

	private final ConsumerRecord<byte[], byte[]> request;

	private final String id;

	private final long attempt;

	private final boolean streaming;

	private final Outgoing outgoing;

	private final Observation observation;

	private final RequestObservationContext seen;

	private final Instant since = Instant.now();

	/** Whether the model could generate the next text. */
	private final BooleanSupplier usable;

	private final CompletableFuture<List<ProducerRecord<byte[], byte[]>>> conclusion = new CompletableFuture<>();

	/** Chunks that no broker has acknowledged yet, and one for the end to come. */
	private final AtomicInteger open = new AtomicInteger(1);

	private final Sinks.Empty<Void> cancelled = Sinks.empty();

	private final Disposable.Swap work = Disposables.swap();

	/** What is not sent chunk by chunk. */
	private final StringBuilder gathered = new StringBuilder();

	private Destination destination;

	private int promptTokens;

	private volatile @Nullable List<ProducerRecord<byte[], byte[]>> concluding;

	private volatile int chunks;

	private volatile int tokens;

	/** Carries what Reactor would throw instead of passing it on. */
	private static final class CaughtError extends RuntimeException {

		private static final long serialVersionUID = 1L;

		private final Error error;

		CaughtError(Error error) {
			super(error);
			this.error = error;
		}

	}

	Generation(ConsumerRecord<byte[], byte[]> request, String id, long attempt, boolean streaming, Outgoing outgoing,
			BooleanSupplier usable, Observation observation, RequestObservationContext seen) {
		this.request = request;
		this.id = id;
		this.attempt = attempt;
		this.streaming = streaming;
		this.outgoing = outgoing;
		this.usable = usable;
		this.destination = Destination.usual(request, outgoing.properties());
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
	 * The end of the attempt, when all of its chunks have been acknowledged: one that is
	 * lost makes a gap, after which no reader looks at the end.
	 * @return completes with the records that tell of it; with
	 * {@link CancellationException} if it was abandoned; otherwise, if it failed in a way
	 * that the next attempt may not
	 */
	CompletableFuture<List<ProducerRecord<byte[], byte[]>>> conclusion() {
		return this.conclusion;
	}

	/** Begins, unless it has been abandoned already. */
	void start(Admission admission, TextGenerator generator) {
		begin(() -> {
			this.destination = chosen();
			Admission.Admitted admitted = admission.admit(this.request, this.id);
			this.promptTokens = admitted.promptTokens();
			this.seen.begun();
			return generator.stream(admitted.prompt(), admitted.options()).takeUntilOther(this.cancelled.asMono());
		});
	}

	/** Refuses the request without an attempt. */
	void refuse(FailureReason reason, String message) {
		begin(() -> {
			try {
				this.destination = chosen();
			}
			catch (InvalidMessageException | KafkaException ex) {
				LOG.debug("{} is refused on the usual topic", Outgoing.place(this.request), ex);
			}
			throw new InvalidMessageException(reason, message);
		});
	}

	/** Where the caller listens, if that is a place that can be written to. */
	private Destination chosen() {
		Destination chosen = Destination.chosen(this.request, this.outgoing.properties());
		this.outgoing.check(chosen);
		return chosen;
	}

	/**
	 * Whatever is thrown must end the attempt, an {@link Error} too, which Reactor would
	 * not pass on: a request without an end holds up its partition.
	 */
	private void begin(Supplier<Flux<Chunk>> text) {
		try {
			this.observation.start();
			this.conclusion.whenComplete((records, failure) -> {
				this.seen.ended(failure);
				this.observation.stop();
			});
			this.work.update(Mono.fromSupplier(() -> begun(text))
				.subscribeOn(Schedulers.boundedElastic())
				.flatMapMany(Function.identity())
				// the end of a cancelled text comes from another thread: here, they queue
				.publishOn(Schedulers.boundedElastic(), 1)
				.contextWrite((context) -> context.put(ObservationThreadLocalAccessor.KEY, this.observation))
				.subscribe((chunk) -> orVoid(() -> received(chunk)), (failure) -> orVoid(() -> failed(failure)),
						() -> orVoid(this::stopped)));
		}
		catch (RuntimeException | Error ex) {
			giveUp(ex);
		}
	}

	private static Flux<Chunk> begun(Supplier<Flux<Chunk>> text) {
		try {
			return text.get();
		}
		catch (RuntimeException ex) {
			return Flux.error(ex);
		}
		catch (Error ex) {
			return Flux.error(new CaughtError(ex));
		}
	}

	private void orVoid(Runnable step) {
		try {
			step.run();
		}
		catch (RuntimeException | Error ex) {
			giveUp(ex);
		}
	}

	/** This attempt is void; the next one may do better. */
	private void giveUp(Throwable failure) {
		if (this.conclusion.completeExceptionally(failure)) {
			this.work.dispose();
		}
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
		this.open.incrementAndGet();
		this.outgoing.send(this.outgoing.chunk(this.destination, chunk)).whenComplete((result, failure) -> {
			// it may have been dropped by a full broker or a topic that went away: a
			// stream with a gap is none
			if (failure != null) {
				giveUp(failure);
			}
			else {
				oneLess();
			}
		});
	}

	/** A chunk has been acknowledged, or the end has come. */
	private void oneLess() {
		if (this.open.decrementAndGet() == 0) {
			List<ProducerRecord<byte[], byte[]>> records = Objects.requireNonNull(this.concluding);
			// never on the producer's own thread, which must not wait for itself
			this.conclusion.completeAsync(() -> records, Outgoing.THREADS);
		}
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
		if (this.concluding == null) {
			conclude(new Chunk(0, new int[0], "", null), TextChunk.Status.CANCELLED, TextChunk.FinishReason.CANCELLED);
		}
	}

	private void failed(Throwable failure) {
		if (this.conclusion.isDone() || this.concluding != null) {
			return;
		}
		if (failure instanceof InvalidMessageException refused) {
			fail(refused.reason(), String.valueOf(refused.getMessage()));
		}
		else if (failure instanceof InvalidInputException) {
			// the only check left to the engine
			fail(FailureReason.LIMIT_EXCEEDED, String.valueOf(failure.getMessage()));
		}
		else if (failure instanceof EngineBusyException || !this.usable.getAsBoolean()) {
			giveUp(new EngineUnavailableException(failure));
		}
		else if (failure instanceof KafkaException || failure instanceof Error) {
			giveUp(failure);
		}
		else if (failure instanceof CaughtError caught) {
			giveUp(caught.error);
		}
		else {
			LOG.warn("{} failed", Outgoing.place(this.request), failure);
			fail(FailureReason.MODEL_FAILED, "the generation failed");
		}
	}

	private void fail(FailureReason reason, String message) {
		conclude(new Chunk(0, new int[0], "", null), TextChunk.Status.FAILED, null,
				new TextChunk.Failure(reason, message.substring(0, Math.min(message.length(), LONGEST_MESSAGE))));
	}

	private void conclude(Chunk last, TextChunk.Status status, TextChunk.FinishReason reason) {
		conclude(last, status, reason, null);
	}

	private void conclude(Chunk last, TextChunk.Status status, TextChunk.@Nullable FinishReason reason,
			TextChunk.@Nullable Failure failure) {
		int number = this.streaming ? this.chunks : 0;
		String text = this.streaming ? last.text() : this.gathered + last.text();
		int tokensOfChunk = this.streaming ? last.tokens().length : this.tokens;
		this.concluding = told(number, text, tokensOfChunk, status, reason, failure);
		oneLess();
	}

	/**
	 * What is told instead of a result that cannot be written.
	 */
	List<ProducerRecord<byte[], byte[]>> undelivered() {
		return told(0, "", 0, TextChunk.Status.FAILED, null, new TextChunk.Failure(FailureReason.NOT_DELIVERED,
				"the result could not be written, for its topic does not take it"));
	}

	private List<ProducerRecord<byte[], byte[]>> told(int number, String text, int tokensOfChunk,
			TextChunk.Status status, TextChunk.@Nullable FinishReason reason, TextChunk.@Nullable Failure failure) {
		TextChunk.Usage usage = new TextChunk.Usage(this.promptTokens, this.tokens);
		TextChunk.End end = new TextChunk.End(status, reason, failure, usage, number + 1);
		this.seen.concluded(end);
		List<ProducerRecord<byte[], byte[]>> records = new ArrayList<>();
		records.add(this.outgoing.chunk(this.destination,
				new TextChunk(this.id, this.attempt, number, text, tokensOfChunk, end)));
		if (failure != null) {
			records.add(this.outgoing.deadLetter(this.request, failure.reason(), failure.message()));
		}
		return List.copyOf(records);
	}

}

package io.calm.spring;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

import io.calm.generation.Chunk;
import io.calm.generation.FinishReason;
import io.calm.generation.GenerationRequest;
import io.calm.generation.GenerationStream;
import io.micrometer.observation.Observation;
import org.jspecify.annotations.Nullable;

/**
 * What is observed of one generation. It holds prompt and text only where
 * {@code calm.observations.*} says so: what is not here, no handler can give away.
 */
public final class GenerationObservationContext extends Observation.Context {

	private final GenerationRequest request;

	private final @Nullable String prompt;

	private final @Nullable StringBuilder completion;

	private final long started = System.nanoTime();

	private final List<Duration> chunkTimes = new ArrayList<>();

	private String model;

	private @Nullable GenerationStream stream;

	private long latest = this.started;

	private int outputTokens;

	private @Nullable FinishReason finishReason;

	private boolean cancelled;

	private boolean ended;

	GenerationObservationContext(String model, GenerationRequest request, CalmProperties.Observations show) {
		this.model = model;
		this.prompt = show.includePrompt() ? request.prompt() : null;
		this.completion = show.includeCompletion() ? new StringBuilder() : null;
		this.request = new GenerationRequest("", request.maxNewTokens(), request.sampling(), request.seed(), List.of(),
				request.deadline(), request.specialTokens());
	}

	synchronized void accepted(ServedModel.Accepted accepted) {
		this.model = accepted.model().name();
		this.stream = accepted.stream();
	}

	synchronized void received(Chunk chunk) {
		long now = System.nanoTime();
		this.chunkTimes.add(Duration.ofNanos(now - this.latest));
		this.latest = now;
		this.outputTokens += chunk.tokens().length;
		this.finishReason = chunk.finishReason();
		if (this.completion != null) {
			this.completion.append(chunk.text());
		}
	}

	/** Notes the end; false if it had ended already. */
	synchronized boolean ended(boolean cancelled) {
		if (this.ended) {
			return false;
		}
		this.ended = true;
		this.cancelled = cancelled;
		return true;
	}

	/**
	 * The model that generates.
	 * @return its name
	 */
	public synchronized String model() {
		return this.model;
	}

	/**
	 * What was asked for.
	 * @return the request, without prompt and stop strings
	 */
	public GenerationRequest request() {
		return this.request;
	}

	/**
	 * The prompt of the observed request.
	 * @return it, or {@code null} unless {@code calm.observations.include-prompt} is set
	 */
	public @Nullable String prompt() {
		return this.prompt;
	}

	/**
	 * The text that was generated, once it is complete.
	 * @return it, or {@code null} unless {@code calm.observations.include-completion} is
	 * set
	 */
	public synchronized @Nullable String completion() {
		return (this.completion != null) ? this.completion.toString() : null;
	}

	/**
	 * How long the prompt is.
	 * @return its tokens, 0 if the request was refused
	 */
	public synchronized int inputTokens() {
		return (this.stream != null) ? this.stream.promptTokens() : 0;
	}

	/**
	 * How long the text is.
	 * @return its tokens so far
	 */
	public synchronized int outputTokens() {
		return this.outputTokens;
	}

	/**
	 * How long the request has waited for a slot.
	 * @return the time, or {@code null} if it never got one
	 */
	public synchronized @Nullable Duration queueTime() {
		return (this.stream != null) ? this.stream.queueTime() : null;
	}

	/**
	 * How long the reader has waited for the first chunk.
	 * @return the time, or {@code null} if none came
	 */
	public synchronized @Nullable Duration timeToFirstChunk() {
		return this.chunkTimes.isEmpty() ? null : this.chunkTimes.get(0);
	}

	/**
	 * How long the reader has waited for each of the other chunks.
	 * @return the times, in their order
	 */
	public synchronized List<Duration> interChunkTimes() {
		return this.chunkTimes.isEmpty() ? List.of() : List.copyOf(this.chunkTimes.subList(1, this.chunkTimes.size()));
	}

	/**
	 * Why the text ended.
	 * @return the reason, or {@code null} if it did not come to its end
	 */
	public synchronized @Nullable FinishReason finishReason() {
		return this.finishReason;
	}

	/**
	 * Whether the reader went away.
	 * @return true if he cancelled the text
	 */
	public synchronized boolean cancelled() {
		return this.cancelled;
	}

}

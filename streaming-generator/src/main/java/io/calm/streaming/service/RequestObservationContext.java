package io.calm.streaming.service;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

import io.calm.generation.Chunk;
import io.calm.streaming.FailureReason;
import io.calm.streaming.TextChunk;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.jspecify.annotations.Nullable;

import org.springframework.kafka.support.micrometer.KafkaRecordReceiverContext;

/**
 * What is observed of one attempt at a request, from its taking up to the records that
 * conclude it. The trace goes on where the headers of the request say. Holds neither
 * prompt nor text.
 */
public final class RequestObservationContext extends KafkaRecordReceiverContext {

	private final long started = System.nanoTime();

	/** When the request was sent, on the scale of {@link System#nanoTime}. */
	private final long sentNanos;

	private @Nullable Duration queueTime;

	private @Nullable Duration timeToFirstChunk;

	private final List<Duration> interChunkTimes = new ArrayList<>();

	private long latest;

	private int tokens;

	private TextChunk.@Nullable End end;

	private boolean ended;

	private boolean abandoned;

	RequestObservationContext(ConsumerRecord<?, ?> request, String group) {
		super(request, group, () -> null);
		this.sentNanos = this.started - Math.max(0, System.currentTimeMillis() - request.timestamp()) * 1_000_000;
	}

	synchronized void begun() {
		this.queueTime = Duration.ofNanos(System.nanoTime() - this.sentNanos);
	}

	synchronized void received(Chunk chunk) {
		long now = System.nanoTime();
		if (this.timeToFirstChunk == null) {
			this.timeToFirstChunk = Duration.ofNanos(now - this.sentNanos);
		}
		else {
			this.interChunkTimes.add(Duration.ofNanos(now - this.latest));
		}
		this.latest = now;
		this.tokens += chunk.tokens().length;
	}

	synchronized void concluded(TextChunk.End end) {
		this.end = end;
	}

	synchronized void ended(@Nullable Throwable failure) {
		this.ended = true;
		this.abandoned = failure != null;
	}

	/**
	 * How long the request lay in its topic and waited to be checked.
	 * @return the time since its record's timestamp, or {@code null} if it was refused
	 */
	public synchronized @Nullable Duration queueTime() {
		return this.queueTime;
	}

	/**
	 * How long its caller waited for the first chunk.
	 * @return the time since its record's timestamp, or {@code null} if there was none
	 */
	public synchronized @Nullable Duration timeToFirstChunk() {
		return this.timeToFirstChunk;
	}

	/**
	 * How long its caller waited for each of the other chunks.
	 * @return the times, in their order
	 */
	public synchronized List<Duration> interChunkTimes() {
		return List.copyOf(this.interChunkTimes);
	}

	/**
	 * How fast the text came.
	 * @return tokens per second, from the taking up to the last chunk; 0 without chunks
	 */
	public synchronized double speed() {
		return (this.timeToFirstChunk != null) ? this.tokens / ((this.latest - this.started) / 1e9) : 0;
	}

	/**
	 * How the attempt ended.
	 * @return the status in lower case, {@code abandoned} if it is left to another
	 * attempt, or {@code none} if it has not ended
	 */
	public synchronized String outcome() {
		TextChunk.End concluded = this.end;
		return (this.abandoned || concluded == null) ? "abandoned" : concluded.status().name().toLowerCase(Locale.ROOT);
	}

	/**
	 * Why it failed.
	 * @return the reason, or {@code null} if it did not
	 */
	public synchronized @Nullable FailureReason failureReason() {
		TextChunk.End concluded = this.end;
		return (concluded != null && concluded.failure() != null) ? concluded.failure().reason() : null;
	}

}

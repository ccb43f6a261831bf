package io.calm.streaming.client;

import java.util.ArrayList;
import java.util.List;

import io.calm.streaming.FailureReason;
import io.calm.streaming.TextChunk;
import org.jspecify.annotations.Nullable;

/**
 * Makes one text of the chunks of a request as they come from the topic: with duplicates,
 * with chunks of void attempts, and again from the beginning after a crash.
 *
 * <p>
 * A new attempt normally says the same: then its chunks follow on those of the old one
 * without a seam. If it does not, the text begins anew, with a chunk number 0. Not for
 * several threads at once.
 */
public final class ChunkFilter {

	/** What the reader has got. */
	private final List<TextChunk> delivered = new ArrayList<>();

	private long attempt = Long.MIN_VALUE;

	/** The next number of the attempt. */
	private int expected;

	/** Whether the attempt has said the same as its predecessor so far. */
	private boolean repeating;

	private boolean ended;

	/** A filter for one request. */
	public ChunkFilter() {
	}

	/**
	 * Takes the next chunk from the topic.
	 * @param chunk any of the request
	 * @return what the reader is to get: chunks in their order, of which one with number
	 * 0 voids those before it; often a single one or none
	 */
	public List<TextChunk> accept(TextChunk chunk) {
		if (this.ended || chunk.attempt() < this.attempt || isOfAnother(chunk)) {
			return List.of();
		}
		if (chunk.attempt() > this.attempt) {
			this.attempt = chunk.attempt();
			this.expected = 0;
			this.repeating = true;
		}
		if (chunk.seq() != this.expected) {
			// smaller: a duplicate; greater: some were lost, and this attempt with them
			return List.of();
		}
		this.expected++;
		this.ended = chunk.end() != null;
		if (isFailure(chunk.end())) {
			return List.of(chunk);
		}
		if (!this.repeating || chunk.seq() >= this.delivered.size()) {
			this.repeating = false;
			this.delivered.add(chunk);
			return List.of(chunk);
		}
		if (says(chunk, this.delivered.get(chunk.seq()))) {
			return List.of();
		}
		return beginAnew(chunk);
	}

	/** The attempt differs from its predecessor in this chunk for the first time. */
	private List<TextChunk> beginAnew(TextChunk chunk) {
		this.repeating = false;
		List<TextChunk> common = this.delivered.subList(0, chunk.seq())
			.stream()
			.map((each) -> new TextChunk(each.requestId(), this.attempt, each.seq(), each.text(), each.tokens(), null))
			.toList();
		this.delivered.clear();
		this.delivered.addAll(common);
		this.delivered.add(chunk);
		return List.copyOf(this.delivered);
	}

	private static boolean says(TextChunk one, TextChunk other) {
		return one.end() == null && one.text().equals(other.text()) && one.tokens() == other.tokens();
	}

	/**
	 * Whether it refuses another request, with the same key, because the one that is read
	 * here has not ended.
	 */
	static boolean isOfAnother(TextChunk chunk) {
		TextChunk.End end = chunk.end();
		return chunk.attempt() == 0 && end != null && end.failure() != null
				&& end.failure().reason() == FailureReason.TOO_MANY_REQUESTS;
	}

	private static boolean isFailure(TextChunk.@Nullable End end) {
		return end != null && end.status() != TextChunk.Status.COMPLETED;
	}

	/**
	 * Whether the text has ended.
	 * @return true after a chunk with an end
	 */
	public boolean ended() {
		return this.ended;
	}

}

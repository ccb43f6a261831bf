package io.calm.streaming;

import org.jspecify.annotations.Nullable;

/**
 * A piece of a text.
 *
 * @param requestId of which request
 * @param attempt grows when a request is generated again after a failure: the chunks of
 * smaller attempts are void. Good for comparison only
 * @param seq counted from 0 within the attempt, without gaps
 * @param text what has become readable; never half a character
 * @param tokens how many the piece has
 * @param end why it is the last piece of the attempt, or {@code null} if it is not
 */
public record TextChunk(String requestId, long attempt, int seq, String text, int tokens, @Nullable End end) {

	/** How an attempt ended. */
	public enum Status {

		/** The text is whole. */
		COMPLETED,
		/** The caller no longer wants the rest. */
		CANCELLED,
		/** There is no text, or no rest of it. */
		FAILED

	}

	/** Why a text ended that did not fail. */
	public enum FinishReason {

		/** The model ended the document. */
		END,
		/** One of the request's stop strings was generated. */
		STOP,
		/** The asked number of tokens, or the context, is used up. */
		LENGTH,
		/** The request's deadline passed while it was generated. */
		DEADLINE,
		/** Its caller cancelled it. */
		CANCELLED

	}

	/**
	 * The end of an attempt.
	 *
	 * @param status how
	 * @param finishReason why, unless it failed
	 * @param failure what failed, if it did
	 * @param usage what it took
	 * @param chunks of the attempt, this one included
	 */
	public record End(Status status, @Nullable FinishReason finishReason, @Nullable Failure failure, Usage usage,
			int chunks) {
	}

	/**
	 * What failed, for programs and for people.
	 *
	 * @param reason for programs
	 * @param message for people, without prompts and texts
	 */
	public record Failure(FailureReason reason, String message) {
	}

	/**
	 * How many tokens a request took.
	 *
	 * @param promptTokens of the prompt
	 * @param completionTokens of the text
	 */
	public record Usage(int promptTokens, int completionTokens) {
	}

	/** Without the text, which is private. */
	@Override
	public String toString() {
		return "TextChunk[requestId=" + this.requestId + ", attempt=" + this.attempt + ", seq=" + this.seq + ", tokens="
				+ this.tokens + ", end=" + this.end + "]";
	}

}

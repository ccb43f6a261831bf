package io.calm.streaming.client;

import io.calm.streaming.FailureReason;
import io.calm.streaming.TextChunk;

/**
 * The service could not generate the text, or not all of it.
 */
public final class GenerationFailedException extends RuntimeException {

	private static final long serialVersionUID = 1L;

	private final FailureReason reason;

	GenerationFailedException(TextChunk.Failure failure) {
		super(failure.reason() + ": " + failure.message());
		this.reason = failure.reason();
	}

	/**
	 * Why the text could not be generated.
	 * @return the reason that the service gives
	 */
	public FailureReason reason() {
		return this.reason;
	}

}

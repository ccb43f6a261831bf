package io.calm.streaming;

import org.jspecify.annotations.Nullable;

/**
 * A message cannot be used.
 */
public final class InvalidMessageException extends RuntimeException {

	private static final long serialVersionUID = 1L;

	private final FailureReason reason;

	/**
	 * Makes an error for a message that cannot be read or served.
	 * @param reason for programs
	 * @param message for people: what is wrong, without the content of the message
	 */
	public InvalidMessageException(FailureReason reason, String message) {
		this(reason, message, null);
	}

	/**
	 * An error with the exception that revealed it.
	 * @param reason for programs
	 * @param message for people: what is wrong, without the content of the message
	 * @param cause the exception that revealed it
	 */
	public InvalidMessageException(FailureReason reason, String message, @Nullable Throwable cause) {
		super(message, cause);
		this.reason = reason;
	}

	/**
	 * What is wrong, for programs.
	 * @return it, for programs
	 */
	public FailureReason reason() {
		return this.reason;
	}

}

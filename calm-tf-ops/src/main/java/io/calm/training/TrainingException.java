package io.calm.training;

/**
 * A training cannot go on. Its last checkpoint is intact.
 */
public final class TrainingException extends RuntimeException {

	private static final long serialVersionUID = 1L;

	TrainingException(String message) {
		super(message);
	}

	/**
	 * A training that cannot go on.
	 * @param message what happened, and what to do
	 * @param cause why
	 */
	public TrainingException(String message, Throwable cause) {
		super(message, cause);
	}

}

package io.calm.training;

/**
 * A training cannot go on. Its last checkpoint is intact.
 */
public final class TrainingException extends RuntimeException {

	private static final long serialVersionUID = 1L;

	TrainingException(String message) {
		super(message);
	}

	TrainingException(String message, Throwable cause) {
		super(message, cause);
	}

}

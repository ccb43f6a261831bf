package io.calm.cluster;

import org.jspecify.annotations.Nullable;

/**
 * A worker has gone, so the others cannot go on. All have to be started again; a training
 * then goes on from its last checkpoint. Applications end with exit code 3.
 */
public final class LostWorkerException extends RuntimeException {

	private static final long serialVersionUID = 1L;

	LostWorkerException(String message, @Nullable Throwable cause) {
		super(message, cause);
	}

}

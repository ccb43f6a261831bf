package io.calm.generation;

import org.jspecify.annotations.Nullable;

/**
 * An engine that takes no requests any more, and does not finish those it had: it was
 * closed or has failed. It is not the request's fault, which another engine can serve.
 */
public final class EngineClosedException extends IllegalStateException {

	private static final long serialVersionUID = 1L;

	EngineClosedException(String message, @Nullable Throwable cause) {
		super(message, cause);
	}

}

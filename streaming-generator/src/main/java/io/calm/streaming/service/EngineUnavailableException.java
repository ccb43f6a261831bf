package io.calm.streaming.service;

/**
 * The engine takes nothing at the moment: it is full, or the model is not usable. The
 * request is not to blame; it waits.
 */
final class EngineUnavailableException extends RuntimeException {

	private static final long serialVersionUID = 1L;

	EngineUnavailableException(Throwable cause) {
		super(cause);
	}

}

package io.calm.mlflow;

import java.net.URI;
import java.time.Duration;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * A call that did not succeed. Never leaves the package: users get an
 * {@link InvalidInputException}, trainings nothing at all.
 */
final class MlflowException extends RuntimeException {

	private static final long serialVersionUID = 1L;

	/** Of a call that got no answer. */
	static final int NO_ANSWER = 0;

	static final int NOT_FOUND = 404;

	private final String server;

	private final int status;

	private final String code;

	private final @Nullable Duration retryAfter;

	MlflowException(URI server, int status, String code, String message, @Nullable Duration retryAfter,
			@Nullable Throwable cause) {
		super(message, cause);
		this.server = server.toString();
		this.status = status;
		this.code = code;
		this.retryAfter = retryAfter;
	}

	/** HTTP status, or {@link #NO_ANSWER}. */
	int status() {
		return this.status;
	}

	/** MLflow's error code. */
	String code() {
		return this.code;
	}

	/** How long the server wants to be left alone. */
	@Nullable Duration retryAfter() {
		return this.retryAfter;
	}

	/**
	 * Whether the server understood the call and will never accept it. Wrong credentials
	 * are none of the data's fault, and what is not there may come back with a backup.
	 */
	boolean refused() {
		return this.status >= 400 && this.status < 500 && switch (this.status) {
			case 401, 403, NOT_FOUND, 408, 429 -> false;
			default -> true;
		};
	}

	InvalidInputException toInvalidInput() {
		String action = switch (this.status) {
			case NO_ANSWER -> "start the server, or check the address, proxies and firewalls";
			case 401 -> "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN";
			case 403 -> "ask for the permission, or add the host name to the server's --allowed-hosts";
			case NOT_FOUND -> "check the name or id, and that the address is that of an MLflow server";
			default -> "look into the server's log";
		};
		return new InvalidInputException(this.server, String.valueOf(getMessage()), action, this);
	}

}

package io.calm.mlflow;

import java.net.URI;
import java.time.Duration;

import javax.net.ssl.SSLHandshakeException;

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

	/** Of a call that will never succeed. */
	static final int REFUSED = 400;

	static final int NOT_FOUND = 404;

	/** The code of what is in the server's bin. */
	static final String DELETED = "DELETED";

	/** What to do where a certificate is not trusted. */
	static final String NAME_THE_CERTIFICATE = "name the server's certificate in MLFLOW_TRACKING_SERVER_CERT_PATH";

	private final String server;

	private final int status;

	private final String code;

	private final @Nullable Duration retryAfter;

	private final @Nullable String action;

	MlflowException(URI server, int status, String code, String message, @Nullable Duration retryAfter,
			@Nullable Throwable cause) {
		this(server, status, code, message, retryAfter, null, cause);
	}

	private MlflowException(URI server, int status, String code, String message, @Nullable Duration retryAfter,
			@Nullable String action, @Nullable Throwable cause) {
		super(message, cause);
		this.server = server.toString();
		this.status = status;
		this.code = code;
		this.retryAfter = retryAfter;
		this.action = action;
	}

	/**
	 * Of the place that a server names for artifacts.
	 * @param message the rest of a sentence that begins with the server
	 * @param action what to do
	 */
	static MlflowException ofArtifacts(URI server, int status, String message, String action,
			@Nullable Throwable cause) {
		return new MlflowException(server, status, "", message, null, action, cause);
	}

	/** HTTP status, or {@link #NO_ANSWER}. */
	int status() {
		return this.status;
	}

	/** MLflow's error code. */
	String code() {
		return this.code;
	}

	/** Whether somebody has to do something before it makes sense to call again. */
	boolean needsSomebody() {
		return isRedirect() || this.status == 401 || this.status == 403 || this.code.equals(DELETED);
	}

	/** Whether it has nothing to do with what was sent. */
	boolean concernsEveryCall() {
		return isRedirect() || this.status == 401;
	}

	private boolean isRedirect() {
		return this.status >= 300 && this.status < 400;
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
		return new InvalidInputException(this.server, String.valueOf(getMessage()), action(), this);
	}

	private String action() {
		if (this.action != null) {
			return this.action;
		}
		if (this.code.equals(DELETED)) {
			return "restore it there, as 'mlflow experiments restore' and 'mlflow runs restore' do, or choose another";
		}
		if (isRedirect()) {
			return "give the address that answers itself: credentials and records are sent to no other";
		}
		if (getCause() instanceof SSLHandshakeException) {
			return NAME_THE_CERTIFICATE + ", and use a host name that stands in it";
		}
		return switch (this.status) {
			case NO_ANSWER -> "start the server, or check the address, proxies and firewalls";
			case 401 -> "set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN";
			case 403 -> "ask for the permission, or add the host name to the server's --allowed-hosts";
			case NOT_FOUND -> "check the name or id, and that the address is that of an MLflow server";
			default -> "look into the server's log";
		};
	}

}

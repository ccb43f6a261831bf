package io.calm.spring.http;

import java.util.Map;
import java.util.concurrent.CancellationException;

import io.calm.generation.EngineBusyException;
import io.calm.generation.EngineClosedException;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * Why a request gets no text, as its client is told: never with what is private to the
 * server.
 */
final class RefusedException extends RuntimeException {

	private static final long serialVersionUID = 1L;

	/** How the library's messages name what the request calls otherwise. */
	private static final Map<String, String> FIELDS = Map.of("prompt", "prompt", "temperature", "temperature", "top-k",
			"top_k", "top-p", "top_p", "candidates", "candidates", "max new tokens", "max_tokens", "messages",
			"messages", "stop strings", "stop");

	private final int status;

	private final String type;

	private final @Nullable String code;

	private final @Nullable String field;

	RefusedException(int status, String type, @Nullable String code, @Nullable String field, String message) {
		super(message);
		this.status = status;
		this.type = type;
		this.code = code;
		this.field = field;
	}

	/** A request that its sender can mend. */
	static RefusedException invalid(int status, @Nullable String code, @Nullable String field, String message) {
		return new RefusedException(status, "invalid_request_error", code, field, message);
	}

	/** A field that its sender can mend. */
	static RefusedException field(String name, String problem) {
		return invalid(400, "invalid_value", name, name + " " + problem);
	}

	static RefusedException unavailable() {
		return new RefusedException(503, "server_error", "model_unavailable", null,
				"the model is not usable at the moment; try again later");
	}

	static RefusedException queueFull() {
		return new RefusedException(429, "rate_limit_error", "queue_full", null,
				"too many requests are waiting; try again later");
	}

	/**
	 * Of whatever ended a request.
	 * @param failure what happened
	 * @param usable whether the model goes on
	 */
	static RefusedException of(Throwable failure, boolean usable) {
		if (failure instanceof RefusedException refused) {
			return refused;
		}
		if (failure instanceof EngineBusyException) {
			return queueFull();
		}
		if (failure instanceof CancellationException) {
			return new RefusedException(408, "server_error", "reader_too_slow", null,
					"nobody has read the text for too long; read it as it comes");
		}
		if (failure instanceof EngineClosedException || !usable) {
			return unavailable();
		}
		return new RefusedException(500, "server_error", "internal_error", null,
				"the request failed; the server's log says why");
	}

	/** Of what the library refuses. */
	static RefusedException of(InvalidInputException invalid, boolean chat) {
		String message = String.valueOf(invalid.getMessage());
		String field = FIELDS.entrySet()
			.stream()
			.filter((each) -> message.startsWith(each.getKey() + " is ") || message.startsWith(each.getKey() + " are ")
					|| message.startsWith(each.getKey() + ": "))
			.map(Map.Entry::getValue)
			.findFirst()
			.orElse(null);
		if ("prompt".equals(field)) {
			return invalid(400, "context_length_exceeded", chat ? "messages" : field, message);
		}
		return invalid(400, "invalid_value", field, message);
	}

	int status() {
		return this.status;
	}

	String type() {
		return this.type;
	}

	@Nullable String code() {
		return this.code;
	}

	@Nullable String field() {
		return this.field;
	}

}

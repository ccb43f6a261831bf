package io.calm.streaming;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ObjectNode;

/**
 * JSON with the field {@code version}, as {@code docs/kafka.md} and the schemas beside it
 * say. Requests are read strictly: a field that the service does not know is an error,
 * for it might mean much to the caller. Chunks are read leniently.
 */
public final class JsonMessageFormat implements MessageFormat {

	/** The version of all messages. */
	public static final int VERSION = 1;

	private static final Set<String> REQUEST_FIELDS = Set.of("version", "prompt", "maxNewTokens", "temperature",
			"candidates", "exact", "seed", "stop");

	private final JsonMapper json = JsonMapper.builder()
		.enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
		.enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
		.build();

	@Override
	public String contentType() {
		return "application/json";
	}

	@Override
	public byte[] write(TextRequest request) {
		ObjectNode node = message().put("prompt", request.prompt());
		if (request.maxNewTokens() != null) {
			node.put("maxNewTokens", request.maxNewTokens());
		}
		if (request.temperature() != null) {
			node.put("temperature", request.temperature());
		}
		if (request.candidates() != null) {
			node.put("candidates", request.candidates());
		}
		if (request.exact() != null) {
			node.put("exact", request.exact());
		}
		if (request.seed() != null) {
			node.put("seed", request.seed());
		}
		if (request.stop() != null) {
			request.stop().forEach(node.putArray("stop")::add);
		}
		return this.json.writeValueAsBytes(node);
	}

	@Override
	public TextRequest readRequest(String id, @Nullable Instant deadline, byte[] value) {
		Fields fields = new Fields("a request", read(value));
		fields.allow(REQUEST_FIELDS);
		return new TextRequest(id, fields.text("prompt"), fields.optionalInt("maxNewTokens"),
				fields.optionalDouble("temperature"), fields.optionalInt("candidates"), fields.optionalBoolean("exact"),
				fields.optionalLong("seed"), fields.optionalTexts("stop"), deadline);
	}

	@Override
	public byte[] write(TextChunk chunk) {
		ObjectNode node = message().put("requestId", chunk.requestId())
			.put("attempt", chunk.attempt())
			.put("seq", chunk.seq())
			.put("text", chunk.text())
			.put("tokens", chunk.tokens());
		TextChunk.End end = chunk.end();
		if (end != null) {
			ObjectNode endNode = node.putObject("end").put("status", end.status().name());
			if (end.finishReason() != null) {
				endNode.put("finishReason", end.finishReason().name());
			}
			if (end.failure() != null) {
				endNode.putObject("failure")
					.put("reason", end.failure().reason().name())
					.put("message", end.failure().message());
			}
			endNode.putObject("usage")
				.put("promptTokens", end.usage().promptTokens())
				.put("completionTokens", end.usage().completionTokens());
			endNode.put("chunks", end.chunks());
		}
		return this.json.writeValueAsBytes(node);
	}

	@Override
	public TextChunk readChunk(byte[] value) {
		Fields fields = new Fields("a chunk", read(value));
		JsonNode end = fields.node().get("end");
		return new TextChunk(fields.text("requestId"), fields.number("attempt"), (int) fields.number("seq"),
				fields.text("text"), (int) fields.number("tokens"),
				(end != null) ? end(new Fields("the end of a chunk", end)) : null);
	}

	private static TextChunk.End end(Fields fields) {
		JsonNode failure = fields.node().get("failure");
		JsonNode finishReason = fields.node().get("finishReason");
		Fields usage = new Fields("the usage of a chunk", fields.node().path("usage"));
		return new TextChunk.End(fields.constant(TextChunk.Status.class, "status"),
				(finishReason != null) ? fields.constant(TextChunk.FinishReason.class, "finishReason") : null,
				(failure != null) ? failure(new Fields("the failure of a chunk", failure)) : null,
				new TextChunk.Usage((int) usage.number("promptTokens"), (int) usage.number("completionTokens")),
				(int) fields.number("chunks"));
	}

	private static TextChunk.Failure failure(Fields fields) {
		FailureReason reason;
		try {
			reason = fields.constant(FailureReason.class, "reason");
		}
		catch (InvalidMessageException ex) {
			reason = FailureReason.UNKNOWN;
		}
		return new TextChunk.Failure(reason, fields.text("message"));
	}

	@Override
	public byte[] write(CancelRequest cancel) {
		return this.json.writeValueAsBytes(message().put("requestId", cancel.requestId()));
	}

	@Override
	public CancelRequest readCancel(byte[] value) {
		return new CancelRequest(new Fields("a cancellation", read(value)).text("requestId"));
	}

	private ObjectNode message() {
		return this.json.createObjectNode().put("version", VERSION);
	}

	private JsonNode read(byte[] value) {
		JsonNode node;
		try {
			node = this.json.readTree(value);
		}
		catch (JacksonException ex) {
			// its own message quotes what it read
			throw new InvalidMessageException(FailureReason.INVALID_MESSAGE, "the value is not JSON"
					+ ((ex.getLocation() != null) ? " from byte " + ex.getLocation().getByteOffset() : ""), ex);
		}
		if (!node.isObject()) {
			throw new InvalidMessageException(FailureReason.INVALID_MESSAGE, "the value is not a JSON object");
		}
		JsonNode version = node.path("version");
		if (!version.isIntegralNumber() || !version.canConvertToInt() || version.intValue() != VERSION) {
			throw new InvalidMessageException(FailureReason.UNSUPPORTED_VERSION,
					"the field version is not " + VERSION + ", the only one known here");
		}
		return node;
	}

	/** The fields of an object, each read as what it has to be. */
	private record Fields(String what, JsonNode node) {

		void allow(Set<String> names) {
			this.node.propertyNames().forEach((name) -> {
				if (!names.contains(name)) {
					throw new InvalidMessageException(FailureReason.INVALID_MESSAGE, this.what + " has no field "
							+ ((name.length() <= 40) ? name : name.substring(0, 40) + "…"));
				}
			});
		}

		String text(String name) {
			return present(name, required(name).isString(), "a string").stringValue();
		}

		long number(String name) {
			JsonNode value = required(name);
			return present(name, value.isIntegralNumber() && value.canConvertToLong(), "a whole number").longValue();
		}

		<E extends Enum<E>> E constant(Class<E> type, String name) {
			try {
				return Enum.valueOf(type, text(name));
			}
			catch (IllegalArgumentException ex) {
				throw wrong(name, "one of the values known here");
			}
		}

		@Nullable Integer optionalInt(String name) {
			JsonNode value = this.node.get(name);
			return (value == null) ? null
					: present(name, value.isIntegralNumber() && value.canConvertToInt(), "a whole number of 32 bits")
						.intValue();
		}

		@Nullable Long optionalLong(String name) {
			JsonNode value = this.node.get(name);
			return (value == null) ? null
					: present(name, value.isIntegralNumber() && value.canConvertToLong(), "a whole number of 64 bits")
						.longValue();
		}

		@Nullable Double optionalDouble(String name) {
			JsonNode value = this.node.get(name);
			return (value == null) ? null : present(name, value.isNumber(), "a number").doubleValue();
		}

		@Nullable Boolean optionalBoolean(String name) {
			JsonNode value = this.node.get(name);
			return (value == null) ? null : present(name, value.isBoolean(), "true or false").booleanValue();
		}

		@Nullable List<String> optionalTexts(String name) {
			JsonNode value = this.node.get(name);
			if (value == null) {
				return null;
			}
			List<String> texts = new ArrayList<>();
			for (JsonNode each : present(name, value.isArray(), "an array of strings")) {
				if (!each.isString()) {
					throw wrong(name, "an array of strings");
				}
				texts.add(each.stringValue());
			}
			return texts;
		}

		private JsonNode required(String name) {
			return this.node.path(name);
		}

		private JsonNode present(String name, boolean right, String form) {
			if (!right) {
				throw wrong(name, form);
			}
			return this.node.path(name);
		}

		private InvalidMessageException wrong(String name, String form) {
			return new InvalidMessageException(FailureReason.INVALID_MESSAGE,
					"the field " + name + " of " + this.what + " is not " + form);
		}

	}

}

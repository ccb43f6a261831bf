package io.calm.spring.http;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;

import org.jspecify.annotations.Nullable;
import tools.jackson.core.JacksonException;
import tools.jackson.core.StreamReadConstraints;
import tools.jackson.core.StreamReadFeature;
import tools.jackson.core.exc.StreamConstraintsException;
import tools.jackson.core.json.JsonFactory;
import tools.jackson.databind.DeserializationFeature;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The fields of a JSON object, each read as what it has to be. One that is null is not
 * there.
 *
 * @param where what the names stand behind, such as {@code messages[0].}
 * @param node the object
 */
record Fields(String where, JsonNode node) {

	private static final int DEEPEST = 32;

	private static final int LONGEST_NAME = 200;

	/** The size of a body bounds its strings. */
	private static final JsonMapper JSON = JsonMapper
		.builder(JsonFactory.builder()
			.streamReadConstraints(StreamReadConstraints.builder()
				.maxNestingDepth(DEEPEST)
				.maxNameLength(LONGEST_NAME)
				.maxNumberLength(LONGEST_NAME)
				.maxStringLength(Integer.MAX_VALUE)
				.build())
			.build())
		.enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
		.enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
		.build();

	static Fields read(byte[] body) {
		JsonNode node;
		try {
			node = JSON.readTree(body);
		}
		catch (StreamConstraintsException ex) {
			throw RefusedException.invalid(400, "invalid_json", null, "the body is JSON that is nested deeper than "
					+ DEEPEST + " levels, or has a name or a number longer than " + LONGEST_NAME + " characters");
		}
		catch (JacksonException ex) {
			// its own message quotes what it read
			throw RefusedException.invalid(400, "invalid_json", null, "the body is not JSON"
					+ ((ex.getLocation() != null) ? " from byte " + ex.getLocation().getByteOffset() : ""));
		}
		if (!node.isObject()) {
			throw RefusedException.invalid(400, "invalid_json", null, "the body is not a JSON object");
		}
		return new Fields("", node);
	}

	/**
	 * Refuses all other fields.
	 * @param names of the fields that are read
	 * @param neutral fields that may be there if they ask for nothing
	 * @param reasons why some fields cannot be
	 */
	void allow(Set<String> names, Map<String, Predicate<JsonNode>> neutral, Map<String, String> reasons) {
		for (Map.Entry<String, JsonNode> each : this.node.properties()) {
			String name = each.getKey();
			JsonNode value = each.getValue();
			if (value.isNull() || names.contains(name)) {
				continue;
			}
			Predicate<JsonNode> harmless = neutral.get(name);
			if (harmless == null || !harmless.test(value)) {
				throw RefusedException.invalid(400, "unsupported_parameter", this.where + name, this.where + name
						+ " is not supported: " + reasons.getOrDefault(name, "this service does not know it"));
			}
		}
	}

	private @Nullable JsonNode value(String name) {
		JsonNode value = this.node.get(name);
		return (value == null || value.isNull()) ? null : value;
	}

	@Nullable String text(String name) {
		JsonNode value = value(name);
		return (value == null) ? null : as(name, value, value.isString(), "a string").stringValue();
	}

	@Nullable Integer integer(String name) {
		JsonNode value = value(name);
		return (value == null) ? null
				: as(name, value, value.isIntegralNumber() && value.canConvertToInt(), "a whole number of 32 bits")
					.intValue();
	}

	@Nullable Long wholeNumber(String name) {
		JsonNode value = value(name);
		return (value == null) ? null
				: as(name, value, value.isIntegralNumber() && value.canConvertToLong(), "a whole number of 64 bits")
					.longValue();
	}

	@Nullable Double number(String name) {
		JsonNode value = value(name);
		return (value == null) ? null : as(name, value, value.isNumber(), "a number").doubleValue();
	}

	@Nullable Boolean flag(String name) {
		JsonNode value = value(name);
		return (value == null) ? null : as(name, value, value.isBoolean(), "true or false").booleanValue();
	}

	/** A string, or an array of at most so many. */
	@Nullable List<String> texts(String name, int most) {
		JsonNode value = value(name);
		if (value == null) {
			return null;
		}
		if (value.isString()) {
			return List.of(value.stringValue());
		}
		as(name, value, value.isArray(), "a string or an array of strings");
		if (value.size() > most) {
			throw RefusedException.field(this.where + name, "has " + value.size() + " entries; send at most " + most);
		}
		List<String> texts = new ArrayList<>();
		for (JsonNode each : value) {
			texts.add(as(name, each, each.isString(), "a string or an array of strings").stringValue());
		}
		return texts;
	}

	@Nullable Fields object(String name) {
		JsonNode value = value(name);
		return (value == null) ? null
				: new Fields(this.where + name + ".", as(name, value, value.isObject(), "an object"));
	}

	/** The objects of an array; none if it is not there. */
	List<Fields> objects(String name) {
		JsonNode value = value(name);
		List<Fields> objects = new ArrayList<>();
		if (value != null) {
			for (JsonNode each : as(name, value, value.isArray(), "an array")) {
				objects.add(new Fields(this.where + name + "[" + objects.size() + "].",
						as(name, each, each.isObject(), "an array of objects")));
			}
		}
		return objects;
	}

	boolean isArray(String name) {
		return this.node.path(name).isArray();
	}

	private JsonNode as(String name, JsonNode value, boolean right, String form) {
		if (!right) {
			throw RefusedException.field(this.where + name, "is not " + form);
		}
		return value;
	}

}

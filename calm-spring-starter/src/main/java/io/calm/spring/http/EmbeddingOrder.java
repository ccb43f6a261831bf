package io.calm.spring.http;

import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

import org.jspecify.annotations.Nullable;
import tools.jackson.databind.JsonNode;

/**
 * Texts that a client wants vectors of.
 *
 * @param model its name, or {@code null} for the one that there is
 * @param texts to be encoded
 * @param base64 whether the client reads vectors as base64 of their numbers
 */
record EmbeddingOrder(@Nullable String model, List<String> texts, boolean base64) {

	private static final int MOST_TEXTS = 2048;

	private static final Map<String, String> REASONS = Map.of("dimensions",
			"the vectors are as long as the model has been trained to make them");

	static EmbeddingOrder of(Fields fields) {
		fields.allow(Set.of("model", "input", "encoding_format", "user"), Map.of(), REASONS);
		JsonNode first = fields.node().path("input").path(0);
		if (first.isNumber() || first.isArray()) {
			throw RefusedException.field("input", "is an array of numbers; send text, not tokens");
		}
		List<String> texts = Objects.requireNonNullElse(fields.texts("input", MOST_TEXTS), List.of());
		if (texts.isEmpty()) {
			throw RefusedException.field("input", "is missing or an empty array; send at least one string");
		}
		if (texts.contains("")) {
			throw RefusedException.field("input", "has an empty string; leave it out");
		}
		String format = Objects.requireNonNullElse(fields.text("encoding_format"), "float");
		if (!Set.of("float", "base64").contains(format)) {
			throw RefusedException.field("encoding_format", "is not float or base64");
		}
		// names the client's user, of whom nothing is kept here
		fields.text("user");
		return new EmbeddingOrder(fields.text("model"), texts, format.equals("base64"));
	}

	/**
	 * Without the texts, which are private.
	 */
	@Override
	public String toString() {
		return "EmbeddingOrder[model=" + this.model + ", texts=" + this.texts.size() + "]";
	}

}

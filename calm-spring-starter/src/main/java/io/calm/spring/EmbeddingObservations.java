package io.calm.spring;

import java.util.function.Supplier;

import io.micrometer.common.KeyValue;
import io.micrometer.common.KeyValues;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;

/**
 * How the encoding of texts appears in metrics and traces: as generations do, with
 * another operation. The texts themselves are not told.
 *
 * @param registry that observations go to
 * @param springAiNames whether they have the older names
 */
record EmbeddingObservations(ObservationRegistry registry, boolean springAiNames) {

	/**
	 * What is observed of one request.
	 */
	static final class Context extends Observation.Context {

		private int inputTokens;

		/** Of all texts, 0 if they could not be encoded. */
		int inputTokens() {
			return this.inputTokens;
		}

	}

	/** Has texts encoded, and observes it. */
	TextVectors observe(String model, Supplier<TextVectors> encoding) {
		String operation = this.springAiNames ? "embedding" : "embeddings";
		Context context = new Context();
		return Observation
			.createNotStarted(this.springAiNames ? SpringAiNames.OPERATION : GenerationObservationConvention.NAME,
					() -> context, this.registry)
			.contextualName(operation + " " + model)
			.lowCardinalityKeyValues(KeyValues.of(KeyValue.of("gen_ai.operation.name", operation),
					KeyValue.of(this.springAiNames ? "gen_ai.system" : "gen_ai.provider.name",
							GenerationObservationConvention.PROVIDER),
					KeyValue.of("gen_ai.request.model", model), KeyValue.of("gen_ai.response.model", model)))
			.observe(() -> {
				TextVectors encoded = encoding.get();
				context.inputTokens = encoded.tokens();
				context.addHighCardinalityKeyValue(
						KeyValue.of("gen_ai.usage.input_tokens", Integer.toString(encoded.tokens())));
				return encoded;
			});
	}

}

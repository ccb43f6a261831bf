package io.calm.spring;

import io.micrometer.common.KeyValue;
import io.micrometer.common.KeyValues;

/**
 * The older names, which Spring AI gives to other models.
 */
final class SpringAiNames implements GenerationObservationConvention {

	static final String OPERATION = "gen_ai.client.operation";

	@Override
	public String getName() {
		return OPERATION;
	}

	@Override
	public KeyValues getLowCardinalityKeyValues(GenerationObservationContext context) {
		return KeyValues.of(KeyValue.of("gen_ai.operation.name", "text_completion"),
				KeyValue.of("gen_ai.system", PROVIDER), KeyValue.of("gen_ai.request.model", context.model()),
				KeyValue.of("gen_ai.response.model", context.model()));
	}

}

package io.calm.spring;

import java.util.Locale;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.calm.generation.FinishReason;
import io.micrometer.common.KeyValue;
import io.micrometer.common.KeyValues;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationConvention;
import org.jspecify.annotations.Nullable;

/**
 * How a generation appears in metrics and traces: by default, as OpenTelemetry's semantic
 * conventions for generative AI name it. A bean of this type replaces that.
 */
public interface GenerationObservationConvention extends ObservationConvention<GenerationObservationContext> {

	/** The name of the observation. */
	String NAME = "gen_ai.client.operation.duration";

	/** What {@code gen_ai.provider.name} says. */
	String PROVIDER = "calm";

	@Override
	default String getName() {
		return NAME;
	}

	@Override
	default String getContextualName(GenerationObservationContext context) {
		return "text_completion " + context.model();
	}

	@Override
	default boolean supportsContext(Observation.Context context) {
		return context instanceof GenerationObservationContext;
	}

	@Override
	default KeyValues getLowCardinalityKeyValues(GenerationObservationContext context) {
		return KeyValues.of(KeyValue.of("gen_ai.operation.name", "text_completion"),
				KeyValue.of("gen_ai.provider.name", PROVIDER), KeyValue.of("gen_ai.request.model", context.model()),
				KeyValue.of("gen_ai.response.model", context.model()));
	}

	@Override
	default KeyValues getHighCardinalityKeyValues(GenerationObservationContext context) {
		String reason = finishReason(context);
		KeyValues values = KeyValues.of(
				KeyValue.of("gen_ai.request.max_tokens", Integer.toString(context.request().maxNewTokens())),
				KeyValue.of("gen_ai.usage.input_tokens", Integer.toString(context.inputTokens())),
				KeyValue.of("gen_ai.usage.output_tokens", Integer.toString(context.outputTokens())),
				KeyValue.of("gen_ai.response.finish_reasons", reason));
		String prompt = context.prompt();
		String completion = context.completion();
		values = (prompt != null) ? values.and("gen_ai.input.messages", messages("user", prompt, null)) : values;
		return (completion != null) ? values.and("gen_ai.output.messages", messages("assistant", completion, reason))
				: values;
	}

	private static String finishReason(GenerationObservationContext context) {
		FinishReason reason = context.finishReason();
		return (reason != null) ? reason.name().toLowerCase(Locale.ROOT)
				: context.cancelled() ? "cancelled" : KeyValue.NONE_VALUE;
	}

	/** A text in the form of the conventions: a list of one message of one part. */
	private static String messages(String role, String text, @Nullable String finishReason) {
		JsonObject part = new JsonObject();
		part.addProperty("type", "text");
		part.addProperty("content", text);
		JsonArray parts = new JsonArray();
		parts.add(part);
		JsonObject message = new JsonObject();
		message.addProperty("role", role);
		message.add("parts", parts);
		if (finishReason != null) {
			message.addProperty("finish_reason", finishReason);
		}
		JsonArray messages = new JsonArray();
		messages.add(message);
		return messages.toString();
	}

}

package io.calm.streaming.service;

import io.calm.streaming.FailureReason;
import io.micrometer.common.KeyValue;
import io.micrometer.common.KeyValues;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationConvention;

/**
 * How an attempt at a request appears in metrics and traces. A bean of this type replaces
 * it.
 */
public interface RequestObservationConvention extends ObservationConvention<RequestObservationContext> {

	/** The name of the observation. */
	String NAME = "calm.streaming.request";

	@Override
	default String getName() {
		return NAME;
	}

	@Override
	default String getContextualName(RequestObservationContext context) {
		return context.getRecord().topic() + " process";
	}

	@Override
	default boolean supportsContext(Observation.Context context) {
		return context instanceof RequestObservationContext;
	}

	@Override
	default KeyValues getLowCardinalityKeyValues(RequestObservationContext context) {
		FailureReason reason = context.failureReason();
		return KeyValues.of(KeyValue.of("outcome", context.outcome()),
				KeyValue.of("reason", (reason != null) ? reason.name() : KeyValue.NONE_VALUE));
	}

	@Override
	default KeyValues getHighCardinalityKeyValues(RequestObservationContext context) {
		return KeyValues.of(KeyValue.of("messaging.kafka.offset", Long.toString(context.getRecord().offset())),
				KeyValue.of("messaging.destination.partition.id", Integer.toString(context.getRecord().partition())));
	}

}

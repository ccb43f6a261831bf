package io.calm.spring;

import java.util.function.ToDoubleFunction;

import io.calm.generation.EngineStatus;
import io.micrometer.core.instrument.FunctionCounter;
import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;

/**
 * How busy the engine is.
 */
final class EngineMeters implements MeterBinder {

	private final ServedModel model;

	EngineMeters(ServedModel model) {
		this.model = model;
	}

	@Override
	public void bindTo(MeterRegistry registry) {
		gauge(registry, "calm.engine.slots", "Texts that can be generated side by side", EngineStatus::slots);
		gauge(registry, "calm.engine.slots.active", "Texts that are being generated", EngineStatus::active);
		gauge(registry, "calm.engine.queue", "Requests that wait for a slot", EngineStatus::waiting);
		exchanges(registry, "success", ServedModel::exchanges);
		exchanges(registry, "failure", ServedModel::refusals);
	}

	private void exchanges(MeterRegistry registry, String outcome, ToDoubleFunction<ServedModel> count) {
		FunctionCounter.builder("calm.model.exchanges", this.model, count)
			.tag("outcome", outcome)
			.description("Models that took the place of another, or could not")
			.register(registry);
	}

	private void gauge(MeterRegistry registry, String name, String description, ToDoubleFunction<EngineStatus> value) {
		Gauge.builder(name, this.model, (model) -> {
			EngineStatus engine = model.status().engine();
			return (engine != null) ? value.applyAsDouble(engine) : 0;
		}).description(description).register(registry);
	}

}

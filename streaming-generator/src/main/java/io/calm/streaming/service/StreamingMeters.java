package io.calm.streaming.service;

import java.time.Duration;

import io.calm.streaming.FailureReason;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Timer;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;
import org.jspecify.annotations.Nullable;

/**
 * What callers notice of the service: how long requests lie in their topic, how soon a
 * text begins and how fast it goes on, and what fails. The lag is among the metrics of
 * Kafka's own client, {@code kafka.consumer.fetch.manager.records.lag.max}.
 */
final class StreamingMeters implements ObservationHandler<RequestObservationContext> {

	static final String QUEUE_TIME = "calm.streaming.queue.time";

	static final String FIRST_CHUNK = "calm.streaming.time_to_first_chunk";

	static final String OTHER_CHUNKS = "calm.streaming.time_per_output_chunk";

	static final String SPEED = "calm.streaming.speed";

	static final String FAILURES = "calm.streaming.failures";

	private final MeterRegistry registry;

	StreamingMeters(MeterRegistry registry) {
		this.registry = registry;
	}

	@Override
	public boolean supportsContext(Observation.Context context) {
		return context instanceof RequestObservationContext;
	}

	@Override
	public void onStop(RequestObservationContext context) {
		FailureReason reason = context.failureReason();
		if (reason != null) {
			Counter.builder(FAILURES)
				.description("Requests that were refused or failed")
				.tag("reason", reason.name())
				.register(this.registry)
				.increment();
		}
		record(QUEUE_TIME, "Time that requests lie in their topic", context.queueTime());
		record(FIRST_CHUNK, "Time from a request to its first chunk", context.timeToFirstChunk());
		context.interChunkTimes().forEach((time) -> record(OTHER_CHUNKS, "Time between two chunks", time));
		if (context.speed() > 0) {
			DistributionSummary.builder(SPEED)
				.description("Tokens of a text per second, from its taking up to its last chunk")
				.baseUnit("tokens_per_second")
				.register(this.registry)
				.record(context.speed());
		}
	}

	private void record(String name, String description, @Nullable Duration time) {
		if (time != null) {
			Timer.builder(name).description(description).register(this.registry).record(time);
		}
	}

}

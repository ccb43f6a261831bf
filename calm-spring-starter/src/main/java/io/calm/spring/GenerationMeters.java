package io.calm.spring;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

import io.micrometer.common.KeyValue;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Timer;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;

/**
 * What a reader cares about beside the duration of a generation: how soon it begins and
 * how fast it goes on.
 */
final class GenerationMeters implements ObservationHandler<GenerationObservationContext> {

	static final String TOKEN_USAGE = "gen_ai.client.token.usage";

	static final String FIRST_CHUNK = GenerationObservationConvention.NAME + ".time_to_first_chunk";

	static final String OTHER_CHUNKS = GenerationObservationConvention.NAME + ".time_per_output_chunk";

	static final String QUEUE_TIME = "calm.generation.queue.time";

	static final String SPEED = "calm.generation.speed";

	private final MeterRegistry registry;

	GenerationMeters(MeterRegistry registry) {
		this.registry = registry;
	}

	@Override
	public boolean supportsContext(Observation.Context context) {
		return context instanceof GenerationObservationContext;
	}

	@Override
	public void onStop(GenerationObservationContext context) {
		List<Tag> tags = new ArrayList<>();
		for (KeyValue value : context.getLowCardinalityKeyValues()) {
			tags.add(Tag.of(value.getKey(), value.getValue()));
		}
		// as Spring AI counts them, the total among them: meters of one name need one
		// form
		count(tags, "input", context.inputTokens());
		count(tags, "output", context.outputTokens());
		count(tags, "total", context.inputTokens() + context.outputTokens());
		Duration queued = context.queueTime();
		if (queued != null) {
			timer(QUEUE_TIME, "Time that requests wait for a slot", tags).record(queued);
		}
		Duration first = context.timeToFirstChunk();
		if (first == null) {
			return;
		}
		timer(FIRST_CHUNK, "Time until the first chunk, queue included", tags).record(first);
		Timer others = timer(OTHER_CHUNKS, "Time between two chunks", tags);
		Duration sum = Duration.ZERO;
		for (Duration time : context.interChunkTimes()) {
			others.record(time);
			sum = sum.plus(time);
		}
		double seconds = first.plus(sum).toNanos() / 1e9;
		DistributionSummary.builder(SPEED)
			.description("Tokens that a reader gets per second, queue included")
			.baseUnit("tokens_per_second")
			.tags(tags)
			.register(this.registry)
			.record(context.outputTokens() / seconds);
	}

	private void count(List<Tag> tags, String type, int tokens) {
		Counter.builder(TOKEN_USAGE)
			.description("Tokens of prompts and of generated texts")
			.tag("gen_ai.token.type", type)
			.tags(tags)
			.register(this.registry)
			.increment(tokens);
	}

	private Timer timer(String name, String description, List<Tag> tags) {
		return Timer.builder(name).description(description).tags(tags).register(this.registry);
	}

}

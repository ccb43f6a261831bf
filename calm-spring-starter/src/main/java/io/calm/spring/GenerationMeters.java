package io.calm.spring;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import io.micrometer.common.KeyValue;
import io.micrometer.core.instrument.Counter;
import io.micrometer.core.instrument.DistributionSummary;
import io.micrometer.core.instrument.Meter;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.Tag;
import io.micrometer.core.instrument.Timer;
import io.micrometer.core.instrument.config.MeterFilter;
import io.micrometer.core.instrument.distribution.DistributionStatisticConfig;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationHandler;
import org.jspecify.annotations.Nullable;

/**
 * What a reader cares about beside the duration of a generation: how soon it begins and
 * how fast it goes on. Of texts that are encoded, their tokens. With the names and
 * buckets of OpenTelemetry's conventions, or the names of Spring AI.
 */
final class GenerationMeters implements ObservationHandler<Observation.Context> {

	static final String TOKEN_USAGE = "gen_ai.client.token.usage";

	static final String FIRST_CHUNK = "gen_ai.client.operation.time_to_first_chunk";

	static final String OTHER_CHUNKS = "gen_ai.client.operation.time_per_output_chunk";

	static final String SERVER_DURATION = "gen_ai.server.request.duration";

	static final String FIRST_TOKEN = "gen_ai.server.time_to_first_token";

	static final String OTHER_TOKENS = "gen_ai.server.time_per_output_token";

	static final String QUEUE_TIME = "calm.generation.queue.time";

	static final String SPEED = "calm.generation.speed";

	private static final Duration[] DURATIONS = seconds(0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12,
			10.24, 20.48, 40.96, 81.92);

	private static final Duration[] FIRST = seconds(0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1,
			2.5, 5, 7.5, 10);

	private static final Duration[] OTHERS = seconds(0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1,
			2.5);

	private static final double[] TOKENS = { 1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576,
			4_194_304, 16_777_216, 67_108_864 };

	private final MeterRegistry registry;

	private final boolean springAiNames;

	GenerationMeters(MeterRegistry registry, boolean springAiNames) {
		this.registry = registry;
		this.springAiNames = springAiNames;
	}

	private static Duration[] seconds(double... seconds) {
		return Arrays.stream(seconds)
			.mapToObj((each) -> Duration.ofNanos(Math.round(each * 1e9)))
			.toArray(Duration[]::new);
	}

	/**
	 * The buckets of the duration, which another handler records.
	 */
	static MeterFilter buckets() {
		double[] nanos = Arrays.stream(DURATIONS).mapToDouble(Duration::toNanos).toArray();
		return new MeterFilter() {
			@Override
			public DistributionStatisticConfig configure(Meter.Id id, DistributionStatisticConfig config) {
				return id.getName().equals(GenerationObservationConvention.NAME)
						? DistributionStatisticConfig.builder().serviceLevelObjectives(nanos).build().merge(config)
						: config;
			}
		};
	}

	@Override
	public boolean supportsContext(Observation.Context context) {
		return context instanceof GenerationObservationContext || context instanceof EmbeddingObservations.Context;
	}

	@Override
	public void onStop(Observation.Context context) {
		List<Tag> tags = new ArrayList<>();
		for (KeyValue value : context.getLowCardinalityKeyValues()) {
			tags.add(Tag.of(value.getKey(), value.getValue()));
		}
		if (context instanceof GenerationObservationContext generation) {
			generation(tags, generation);
		}
		else if (context instanceof EmbeddingObservations.Context embedding) {
			count(tags, "input", embedding.inputTokens());
		}
	}

	private void generation(List<Tag> tags, GenerationObservationContext context) {
		usage(tags, context);
		Duration queued = context.queueTime();
		if (queued != null) {
			timer(QUEUE_TIME, "Time that requests wait for a slot", tags, FIRST).record(queued);
		}
		Duration first = context.timeToFirstChunk();
		Duration sum = context.interChunkTimes().stream().reduce(Duration.ZERO, Duration::plus);
		if (first != null) {
			timer(FIRST_CHUNK, "Time until the first chunk, queue included", tags, FIRST).record(first);
			Timer others = timer(OTHER_CHUNKS, "Time between two chunks", tags, OTHERS);
			context.interChunkTimes().forEach(others::record);
			double seconds = first.plus(sum).toNanos() / 1e9;
			DistributionSummary.builder(SPEED)
				.description("Tokens that a reader gets per second, queue included")
				.baseUnit("tokens_per_second")
				.tags(tags)
				.register(this.registry)
				.record(context.outputTokens() / seconds);
		}
		if (!this.springAiNames) {
			server(tags, context, first, sum);
		}
	}

	/** Model and application are one: what its client sees is what the server does. */
	private void server(List<Tag> tags, GenerationObservationContext context, @Nullable Duration first, Duration sum) {
		if (first == null) {
			return;
		}
		timer(SERVER_DURATION, "Time of a request, queue included", tags, DURATIONS).record(first.plus(sum));
		timer(FIRST_TOKEN, "Time until the first tokens, queue included", tags, FIRST).record(first);
		int chunks = 1 + context.interChunkTimes().size();
		if (chunks > 1) {
			// chunks have as many tokens, all but the last
			double tokens = (double) context.outputTokens() * (chunks - 1) / chunks;
			timer(OTHER_TOKENS, "Time per token after the first ones", tags, OTHERS)
				.record(Duration.ofNanos(Math.round(sum.toNanos() / Math.max(1, tokens))));
		}
	}

	private void usage(List<Tag> tags, GenerationObservationContext context) {
		count(tags, "input", context.inputTokens());
		count(tags, "output", context.outputTokens());
		if (this.springAiNames) {
			// meters of one name need one form, and Spring AI counts this too
			count(tags, "total", context.inputTokens() + context.outputTokens());
		}
	}

	private void count(List<Tag> tags, String type, int tokens) {
		String description = "Tokens of prompts, of encoded and of generated texts";
		if (this.springAiNames) {
			Counter.builder(TOKEN_USAGE)
				.description(description)
				.tag("gen_ai.token.type", type)
				.tags(tags)
				.register(this.registry)
				.increment(tokens);
			return;
		}
		DistributionSummary.builder(TOKEN_USAGE)
			.description(description)
			.tag("gen_ai.token.type", type)
			.tags(tags)
			.serviceLevelObjectives(TOKENS)
			.register(this.registry)
			.record(tokens);
	}

	private Timer timer(String name, String description, List<Tag> tags, Duration[] buckets) {
		Timer.Builder timer = Timer.builder(name).description(description).tags(tags);
		return (this.springAiNames ? timer : timer.serviceLevelObjectives(buckets)).register(this.registry);
	}

}

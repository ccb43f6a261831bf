package io.calm.spring;

import java.util.Objects;
import java.util.concurrent.CancellationException;
import java.util.function.Consumer;

import io.calm.generation.Chunk;
import io.calm.generation.EngineBusyException;
import io.calm.generation.GenerationRequest;
import io.calm.input.InvalidInputException;
import io.micrometer.observation.Observation;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.observation.contextpropagation.ObservationThreadLocalAccessor;
import org.jspecify.annotations.Nullable;
import reactor.adapter.JdkFlowAdapter;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Passes requests to the model and observes what becomes of them.
 */
final class ObservedTextGenerator implements TextGenerator {

	private static final GenerationObservationConvention OPEN_TELEMETRY = new GenerationObservationConvention() {
	};

	private static final GenerationObservationConvention SPRING_AI = new SpringAiNames();

	private static final Consumer<ModelVersion> NOBODY = (model) -> {
		// wants to know
	};

	private final ServedModel model;

	private final CalmProperties properties;

	private final ObservationRegistry observations;

	private final @Nullable GenerationObservationConvention convention;

	ObservedTextGenerator(ServedModel model, CalmProperties properties, ObservationRegistry observations,
			@Nullable GenerationObservationConvention convention) {
		this.model = model;
		this.properties = properties;
		this.observations = observations;
		this.convention = convention;
	}

	@Override
	public Flux<Chunk> stream(String prompt, Consumer<GenerationRequest.Builder> options) {
		Consumer<GenerationRequest.Builder> defaults = this.properties.generation()::applyTo;
		return Flux.deferContextual((context) -> {
			GenerationRequest request = GenerationRequest.of(prompt, defaults.andThen(options));
			// a reactive application has the enclosing observation in the context, others
			// have it at the thread
			Observation parent = context.getOrDefault(ObservationThreadLocalAccessor.KEY,
					this.observations.getCurrentObservation());
			return observed(request, parent, Objects.requireNonNull(context.getOrDefault(WRITTEN_BY, NOBODY)));
		});
	}

	private Flux<Chunk> observed(GenerationRequest request, @Nullable Observation parent,
			Consumer<ModelVersion> writtenBy) {
		GenerationObservationContext seen = new GenerationObservationContext(this.model.status().name(), request,
				this.properties.observations());
		Observation observation = Observation
			.createNotStarted(this.convention,
					this.properties.observations().springAiNames() ? SPRING_AI : OPEN_TELEMETRY, () -> seen,
					this.observations)
			.parentObservation(parent)
			.start();
		return Mono.fromFuture(this.model.open()).thenMany(Flux.defer(() -> {
			ServedModel.Accepted accepted = this.model.accept(request);
			seen.accepted(accepted);
			writtenBy.accept(accepted.model());
			return JdkFlowAdapter.flowPublisherToFlux(accepted.stream());
		})).doOnNext(seen::received).doOnError((failure) -> {
			observation.error(failure);
			if (isOwnFault(failure)) {
				this.model.failed(failure);
			}
		})
			// before the reader learns of the end: who has read all finds it observed
			.doOnTerminate(() -> end(observation, seen, false))
			.doOnCancel(() -> end(observation, seen, true));
	}

	/** Once, even if the reader cancels while the end is on its way to him. */
	private static void end(Observation observation, GenerationObservationContext seen, boolean cancelled) {
		if (seen.ended(cancelled)) {
			observation.stop();
		}
	}

	/** Whether the application's health should show it. */
	private static boolean isOwnFault(Throwable failure) {
		return !(failure instanceof InvalidInputException || failure instanceof EngineBusyException
				|| failure instanceof CancellationException);
	}

	@Override
	public int countTokens(String text) {
		this.model.awaitUsable();
		return this.model.countTokens(text);
	}

	@Override
	public int countTokensWithSpecial(String prompt) {
		this.model.awaitUsable();
		return this.model.countTokensWithSpecial(prompt);
	}

}

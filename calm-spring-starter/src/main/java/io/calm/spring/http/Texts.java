package io.calm.spring.http;

import java.util.List;
import java.util.Objects;
import java.util.concurrent.ThreadLocalRandom;

import io.calm.generation.Chunk;
import io.calm.spring.CalmProperties;
import io.calm.spring.ModelStatus;
import io.calm.spring.ServedModel;
import io.calm.spring.TextGenerator;
import org.jspecify.annotations.Nullable;
import reactor.core.Exceptions;
import reactor.core.publisher.Flux;
import reactor.core.publisher.Mono;

/**
 * Has the texts of an order written, side by side.
 */
final class Texts {

	private final TextGenerator generator;

	private final @Nullable ServedModel model;

	private final @Nullable Long seed;

	private final String name;

	/**
	 * The texts of an application.
	 * @param generator writes them
	 * @param model of the generator, or {@code null} if the generator is the
	 * application's own
	 * @param properties what orders that say nothing else get
	 */
	Texts(TextGenerator generator, @Nullable ServedModel model, CalmProperties properties) {
		this.generator = generator;
		this.model = model;
		this.seed = properties.generation().seed();
		this.name = Objects.requireNonNullElse(properties.model().name(), "calm");
	}

	/**
	 * A part of one of the texts.
	 *
	 * @param choice the number of the text
	 * @param chunk what it gets
	 */
	record Piece(int choice, Chunk chunk) {
	}

	String model() {
		return (this.model != null) ? this.model.status().name() : this.name;
	}

	boolean isUsable() {
		return this.model == null || this.model.status().state() == ModelStatus.State.USABLE;
	}

	/**
	 * The pieces as they come. Who cancels them cancels all texts, and so does an error.
	 */
	Flux<Piece> write(TextOrder order) {
		List<String> prompts = order.choices();
		Long given = (order.seed() != null) ? order.seed() : this.seed;
		long firstSeed = (given != null) ? given : ThreadLocalRandom.current().nextLong();
		Flux<Piece> pieces = Flux.range(0, prompts.size())
			.flatMap((choice) -> this.generator
				.stream(prompts.get(choice), (request) -> order.applyTo(request, choice, firstSeed))
				.map((chunk) -> new Piece(choice, chunk)), prompts.size(), 1)
			// several texts that are refused at the same time are refused for one reason
			.onErrorMap(Exceptions::isMultiple, (several) -> Exceptions.unwrapMultiple(several).get(0));
		return usable().thenMany(pieces);
	}

	/** A model that cannot be opened is not the client's fault. */
	Mono<Void> usable() {
		return (this.model == null) ? Mono.empty()
				: Mono.fromFuture(this.model.open()).onErrorMap((failure) -> RefusedException.unavailable());
	}

	/** On a thread that may block. */
	int promptTokens(TextOrder order) {
		return order.prompts()
			.stream()
			.mapToInt(order.specialTokens() ? this.generator::countTokensWithSpecial : this.generator::countTokens)
			.sum();
	}

}

package io.calm.spring;

import java.util.Objects;
import java.util.function.Consumer;
import java.util.stream.Collectors;

import io.calm.generation.Chunk;
import io.calm.generation.GenerationRequest;
import reactor.core.publisher.Flux;

/**
 * Continues texts. What a request does not say is as the properties
 * {@code calm.generation.*} have it.
 */
public interface TextGenerator {

	/**
	 * The key of a {@code Consumer<ModelVersion>} in Reactor's context that is told which
	 * model writes a text, before its first chunk.
	 */
	String WRITTEN_BY = "calm.written-by";

	/**
	 * Generates a continuation, chunk by chunk.
	 * @param prompt the beginning of the text; may be empty
	 * @param options sets what differs from the defaults
	 * @return the chunks, one for each patch, delivered on a thread that may block; every
	 * subscription generates anew, its cancellation ends the generation. Ends with
	 * {@link io.calm.input.InvalidInputException} for bad options or too long a prompt,
	 * and {@link io.calm.generation.EngineBusyException} if too many requests are waiting
	 */
	Flux<Chunk> stream(String prompt, Consumer<GenerationRequest.Builder> options);

	/**
	 * Generates a continuation, chunk by chunk, with the defaults.
	 * @param prompt the beginning of the text; may be empty
	 * @return the chunks
	 * @see #stream(String, Consumer)
	 */
	default Flux<Chunk> stream(String prompt) {
		return stream(prompt, (options) -> {
		});
	}

	/**
	 * Generates a continuation and waits for its end.
	 * @param prompt the beginning of the text; may be empty
	 * @param options sets what differs from the defaults
	 * @return the continuation, without the prompt
	 * @throws io.calm.input.InvalidInputException if an option is out of its range or the
	 * prompt leaves no room in the context
	 * @throws io.calm.generation.EngineBusyException if too many requests are waiting
	 */
	default String generate(String prompt, Consumer<GenerationRequest.Builder> options) {
		return Objects.requireNonNull(stream(prompt, options).map(Chunk::text).collect(Collectors.joining()).block());
	}

	/**
	 * Generates a continuation with the defaults and waits for its end.
	 * @param prompt the beginning of the text; may be empty
	 * @return the continuation, without the prompt
	 * @see #generate(String, Consumer)
	 */
	default String generate(String prompt) {
		return generate(prompt, (options) -> {
		});
	}

	/**
	 * How long a text is, for example to see whether a prompt fits.
	 * @param text the text
	 * @return its tokens
	 */
	int countTokens(String text);

	/**
	 * How long a prompt is that names special tokens.
	 * @param prompt of a request with
	 * {@link GenerationRequest.Builder#specialTokens(boolean)}
	 * @return its tokens; by default, those of a text without special tokens
	 */
	default int countTokensWithSpecial(String prompt) {
		return countTokens(prompt);
	}

}

package io.calm.spring;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.Consumer;

import io.calm.generation.Chunk;
import io.calm.generation.FinishReason;
import io.calm.generation.GenerationRequest;
import reactor.core.publisher.Flux;

/**
 * Says always the same, a token a chunk, and remembers what it was asked.
 */
final class FixedText implements TextGenerator {

	private final List<String> chunks;

	private final List<GenerationRequest> requests = new CopyOnWriteArrayList<>();

	FixedText(String... chunks) {
		this.chunks = List.of(chunks);
	}

	List<GenerationRequest> requests() {
		return this.requests;
	}

	List<String> prompts() {
		return this.requests.stream().map(GenerationRequest::prompt).toList();
	}

	@Override
	public Flux<Chunk> stream(String prompt, Consumer<GenerationRequest.Builder> options) {
		return Flux.defer(() -> {
			this.requests.add(GenerationRequest.of(prompt, options));
			return Flux.range(0, this.chunks.size())
				.map((index) -> new Chunk(index, new int[] { index }, this.chunks.get(index),
						(index == this.chunks.size() - 1) ? FinishReason.END : null));
		});
	}

	@Override
	public int countTokens(String text) {
		return text.length();
	}

}

package io.calm.streaming.app;

import java.time.Duration;
import java.util.SplittableRandom;
import java.util.function.Consumer;

import io.calm.generation.Chunk;
import io.calm.generation.FinishReason;
import io.calm.generation.GenerationRequest;
import io.calm.spring.TextGenerator;
import reactor.core.publisher.Flux;

import org.springframework.boot.SpringApplication;

/**
 * A service without a model, which starts in half of the time and generates at no cost:
 * what it says follows from the request's seed alone.
 */
final class ScriptedGenerator implements TextGenerator {

	private static final Duration BETWEEN = Duration.ofMillis(15);

	private ScriptedGenerator() {
	}

	public static void main(String[] arguments) {
		SpringApplication application = StreamingGenerator.application();
		application.addInitializers(
				(context) -> context.getBeanFactory().registerSingleton("scripted", new ScriptedGenerator()));
		application.run(arguments);
	}

	@Override
	public Flux<Chunk> stream(String prompt, Consumer<GenerationRequest.Builder> options) {
		return Flux.defer(() -> {
			GenerationRequest request = GenerationRequest.of(prompt, options);
			SplittableRandom random = new SplittableRandom(request.seed());
			int chunks = Math.max(1, request.maxNewTokens() / 4);
			long deadline = (request.deadline() != null) ? System.nanoTime() + request.deadline().toNanos()
					: Long.MAX_VALUE;
			return Flux.range(0, chunks)
				.map((index) -> new Chunk(index, new int[4], " " + random.nextInt(1000),
						(index == chunks - 1) ? FinishReason.LENGTH : null))
				.delayElements(BETWEEN)
				.map((chunk) -> (System.nanoTime() < deadline) ? chunk
						: new Chunk(chunk.index(), new int[0], "", FinishReason.DEADLINE))
				.takeUntil((chunk) -> chunk.finishReason() != null);
		});
	}

	@Override
	public int countTokens(String text) {
		return text.length();
	}

}

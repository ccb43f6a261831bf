package io.calm.examples.pipeline;

import java.util.List;
import java.util.concurrent.TimeoutException;

import io.calm.streaming.TextChunk;
import org.junit.jupiter.api.Test;
import reactor.core.publisher.Flux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * What becomes of a product whose text does not come.
 */
class EnrichmentTests {

	private static final Product PRODUCT = new Product("1", "Red kite", "One day");

	private final TextChunk chunk = new TextChunk("r", 1, 0, " a", 1, null);

	private final Flux<TextChunk> late = Flux.error(new TimeoutException("has not ended"));

	@Test
	void textThatTakesTooLongDoesNotStopItsPartition() {
		Story story = Enrichment.story(PRODUCT, "model", Flux.just(this.chunk).concatWith(this.late));
		assertThat(story).isEqualTo(new Story(PRODUCT, "", "model", "TIMEOUT", 0));
	}

	@Test
	void serviceThatIsAwayIsWaitedFor() {
		assertThatExceptionOfType(RuntimeException.class)
			.isThrownBy(() -> Enrichment.story(PRODUCT, "model", this.late))
			.withCauseInstanceOf(TimeoutException.class);
	}

	@Test
	void textIsPutTogether() {
		TextChunk end = new TextChunk("r", 1, 1, " b", 1, new TextChunk.End(TextChunk.Status.COMPLETED,
				TextChunk.FinishReason.LENGTH, null, new TextChunk.Usage(2, 2), 2));
		assertThat(Enrichment.story(PRODUCT, "model", Flux.fromIterable(List.of(this.chunk, end))))
			.isEqualTo(new Story(PRODUCT, " a b", "model", "LENGTH", 2));
	}

}

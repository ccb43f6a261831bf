package io.calm.streaming.client;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

import io.calm.streaming.FailureReason;
import io.calm.streaming.TextChunk;
import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;

class ChunkFilterTests {

	private final ChunkFilter filter = new ChunkFilter();

	private static TextChunk chunk(long attempt, int seq, String text) {
		return new TextChunk("r", attempt, seq, text, 1, null);
	}

	private static TextChunk end(long attempt, int seq, TextChunk.Status status) {
		TextChunk.Failure failure = (status == TextChunk.Status.FAILED)
				? new TextChunk.Failure(FailureReason.MODEL_FAILED, "") : null;
		return new TextChunk("r", attempt, seq, ".", 1,
				new TextChunk.End(status, null, failure, new TextChunk.Usage(1, seq), seq + 1));
	}

	private List<String> accept(TextChunk... chunks) {
		List<String> delivered = new ArrayList<>();
		for (TextChunk each : chunks) {
			this.filter.accept(each).forEach((chunk) -> delivered.add(chunk.seq() + chunk.text()));
		}
		return delivered;
	}

	@Test
	void passesOn() {
		assertThat(accept(chunk(1, 0, "a"), chunk(1, 1, "b"), end(1, 2, TextChunk.Status.COMPLETED)))
			.containsExactly("0a", "1b", "2.");
		assertThat(this.filter.ended()).isTrue();
	}

	@Test
	void dropsDuplicates() {
		assertThat(accept(chunk(1, 0, "a"), chunk(1, 0, "a"), chunk(1, 1, "b"), chunk(1, 0, "a"), chunk(1, 1, "b")))
			.containsExactly("0a", "1b");
	}

	@Test
	void goesOnWithoutASeam() {
		assertThat(accept(chunk(1, 0, "a"), chunk(1, 1, "b"), chunk(2, 0, "a"), chunk(1, 2, "void"), chunk(2, 1, "b"),
				chunk(2, 2, "c"), end(2, 3, TextChunk.Status.COMPLETED)))
			.containsExactly("0a", "1b", "2c", "3.");
	}

	@Test
	void beginsAnewWhereTheAttemptDiffers() {
		assertThat(accept(chunk(1, 0, "a"), chunk(1, 1, "b"), chunk(1, 2, "c"), chunk(2, 0, "a"), chunk(2, 1, "B"),
				chunk(2, 2, "C")))
			.containsExactly("0a", "1b", "2c", "0a", "1B", "2C");
	}

	@Test
	void beginsAnewWhereTheAttemptIsShorter() {
		assertThat(accept(chunk(1, 0, "a"), chunk(1, 1, "b"), chunk(2, 0, "a"), end(2, 1, TextChunk.Status.COMPLETED)))
			.containsExactly("0a", "1b", "0a", "1.");
	}

	@Test
	void failureOfALaterAttemptIsTheEnd() {
		assertThat(accept(chunk(1, 0, "a"), chunk(1, 1, "b"), end(2, 0, TextChunk.Status.FAILED), chunk(1, 2, "c")))
			.containsExactly("0a", "1b", "0.");
	}

	@Test
	void attemptWithAGapIsVoid() {
		assertThat(accept(chunk(1, 0, "a"), chunk(1, 2, "c"), end(1, 3, TextChunk.Status.COMPLETED)))
			.containsExactly("0a");
		assertThat(accept(chunk(2, 0, "a"), chunk(2, 1, "b"))).containsExactly("1b");
	}

	@Test
	void nothingComesAfterTheEnd() {
		assertThat(accept(chunk(1, 0, "a"), end(1, 1, TextChunk.Status.COMPLETED), chunk(2, 0, "b")))
			.containsExactly("0a", "1.");
	}

	/** Whatever two workers at once write, each in its order, the text is right. */
	@Test
	void anyInterleavingOfTwoAttemptsIsOneText() {
		Random random = new Random(1);
		for (int trial = 0; trial < 500; trial++) {
			List<TextChunk> old = new ArrayList<>(IntStream.range(0, 5).mapToObj((i) -> chunk(1, i, "x" + i)).toList());
			List<TextChunk> young = new ArrayList<>(
					IntStream.range(0, 7).mapToObj((i) -> chunk(2, i, "x" + i)).toList());
			young.add(end(2, 7, TextChunk.Status.COMPLETED));
			ChunkFilter each = new ChunkFilter();
			StringBuilder text = new StringBuilder();
			int next = 0;
			while (!young.isEmpty()) {
				List<TextChunk> from = (random.nextBoolean() && !old.isEmpty()) ? old : young;
				for (TextChunk chunk : each.accept(from.remove(0))) {
					assertThat(chunk.seq()).isEqualTo(next++);
					text.append(chunk.text());
				}
			}
			assertThat(text).hasToString("x0x1x2x3x4x5x6.");
			assertThat(each.ended()).isTrue();
		}
	}

	@Test
	void refusalOfAnotherRequestWithTheKeyIsNotTheEnd() {
		TextChunk refusal = new TextChunk("r", 0, 0, "", 0, new TextChunk.End(TextChunk.Status.FAILED, null,
				new TextChunk.Failure(FailureReason.TOO_MANY_REQUESTS, ""), new TextChunk.Usage(0, 0), 1));
		assertThat(accept(refusal, chunk(1, 0, "a"), refusal, end(1, 1, TextChunk.Status.COMPLETED)))
			.containsExactly("0a", "1.");
	}

}

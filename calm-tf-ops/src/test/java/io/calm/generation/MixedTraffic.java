package io.calm.generation;

import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Queue;
import java.util.Random;
import java.util.function.Consumer;
import java.util.function.IntConsumer;

import org.jspecify.annotations.Nullable;

/**
 * Requests of random prompts, lengths, temperatures and samplers, the same every time. A
 * quarter of them has a deadline; of all, a sixth is cancelled before anything is read
 * and a sixth after the first chunk.
 */
public final class MixedTraffic {

	/** Requests that have been made and not yet read: more than any engine has slots. */
	private static final int OPEN = 12;

	private MixedTraffic() {
	}

	/**
	 * What became of a request.
	 *
	 * @param request without its deadline
	 * @param chunks all that were read
	 * @param left whether its reader went away before the end
	 */
	record Outcome(GenerationRequest request, List<Chunk> chunks, boolean left) {

		int[] tokens() {
			return this.chunks.stream().flatMapToInt((chunk) -> Arrays.stream(chunk.tokens())).toArray();
		}

		String text() {
			StringBuilder text = new StringBuilder();
			this.chunks.forEach((chunk) -> text.append(chunk.text()));
			return text.toString();
		}

		@Nullable FinishReason end() {
			return this.chunks.isEmpty() ? null : this.chunks.get(this.chunks.size() - 1).finishReason();
		}

	}

	/** A request whose answer has not been read. */
	private record Open(GenerationRequest request, GenerationStream stream, int reader) {

		Outcome read() {
			List<Chunk> chunks = new ArrayList<>();
			if (this.reader == 0) {
				this.stream.cancel();
			}
			else if (this.reader == 1) {
				Iterator<Chunk> all = this.stream.iterator();
				if (all.hasNext()) {
					chunks.add(all.next());
				}
				this.stream.close();
			}
			else {
				this.stream.forEach(chunks::add);
			}
			return new Outcome(this.request, chunks, this.reader < 2);
		}

	}

	/**
	 * Sends requests through an engine.
	 * @param engine with room for twelve requests
	 * @param count how many
	 * @param outcome takes each, in the order in which they were made
	 */
	static void through(GenerationEngine engine, int count, Consumer<Outcome> outcome) {
		Random random = new Random(2);
		Queue<Open> open = new ArrayDeque<>();
		for (int i = 0; i < count; i++) {
			if (open.size() == OPEN) {
				outcome.accept(open.remove().read());
			}
			String prompt = "the cat sat on the mat because it rained".substring(0, random.nextInt(40));
			long seed = random.nextLong();
			int kind = random.nextInt(4);
			int tokens = 1 + random.nextInt(60);
			double temperature = (kind == 0) ? 1 : 0.4 + random.nextDouble() / 2;
			Consumer<GenerationRequest.Builder> options = (request) -> request.seed(seed)
				.maxNewTokens(tokens)
				.temperature(temperature)
				.candidates(15)
				.exact(kind == 1);
			GenerationStream stream;
			if (random.nextInt(4) == 0) {
				Duration deadline = Duration.ofMillis(1 + random.nextInt(60));
				stream = engine.generate(prompt, options.andThen((request) -> request.deadline(deadline)));
			}
			else {
				stream = engine.generate(prompt, options);
			}
			open.add(new Open(GenerationRequest.of(prompt, options), stream, random.nextInt(6)));
		}
		open.forEach((each) -> outcome.accept(each.read()));
	}

	/**
	 * Sends requests through an engine and forgets them.
	 * @param engine with room for twelve requests
	 * @param count how many
	 * @param ended is told how many have ended, after each
	 */
	public static void forgotten(GenerationEngine engine, int count, IntConsumer ended) {
		int[] number = new int[1];
		through(engine, count, (outcome) -> ended.accept(++number[0]));
	}

}

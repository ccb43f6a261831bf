package io.calm.generation;

import java.time.Duration;
import java.util.List;
import java.util.function.Consumer;

import io.calm.input.InvalidInputException;
import io.calm.sampling.BatchSampler;
import io.calm.text.PromptTokens;
import org.jspecify.annotations.Nullable;

/**
 * What to generate, and how.
 *
 * <p>
 * Prompt and continuation, put together, are the text that the tokenizer makes of the
 * tokens of both, with its spaces. It makes no difference whether a prompt ends with
 * white space that the tokenizer would take as part of the next word: the model sees the
 * prompt without it, and the continuation does not repeat it. Stop strings are looked for
 * in the continuation as its reader gets it.
 *
 * @param prompt the beginning of the text; may be empty
 * @param maxNewTokens the greatest number of new tokens
 * @param sampling how each patch or token is chosen
 * @param seed of the draws: the same request with the same seed gives the same text
 * @param stop strings that end the text before them
 * @param deadline how long the request may wait and run, or {@code null} for ever; more
 * than a century is for ever, too
 * @param specialTokens whether the prompt names special tokens, see
 * {@link Builder#specialTokens}
 */
public record GenerationRequest(String prompt, int maxNewTokens, Sampling sampling, long seed, List<String> stop,
		@Nullable Duration deadline, boolean specialTokens) {

	/** Refuses numbers that are out of range. */
	public GenerationRequest {
		if (maxNewTokens < 1) {
			throw new InvalidInputException("max new tokens", "is " + maxNewTokens, "choose a positive number");
		}
		stop = List.copyOf(stop);
		if (stop.stream().anyMatch(String::isEmpty)) {
			throw new InvalidInputException("stop strings", "one of them is empty", "leave it out");
		}
		if (deadline != null && (deadline.isNegative() || deadline.isZero())) {
			throw new InvalidInputException("deadline", "is " + deadline, "give a time to come");
		}
	}

	/**
	 * A request, beginning with the defaults.
	 * @param prompt the beginning of the text; may be empty
	 * @param options sets what differs
	 * @return the request
	 * @throws InvalidInputException if a number is out of its range
	 */
	public static GenerationRequest of(String prompt, Consumer<Builder> options) {
		Builder builder = new Builder();
		options.accept(builder);
		return new GenerationRequest(prompt, builder.maxNewTokens, builder.sampling(), builder.seed, builder.stop,
				builder.deadline, builder.specialTokens);
	}

	/**
	 * Without prompt and stop strings, which are private.
	 */
	@Override
	public String toString() {
		return "GenerationRequest[maxNewTokens=" + this.maxNewTokens + ", sampling=" + this.sampling + ", seed="
				+ this.seed + ", deadline=" + this.deadline + "]";
	}

	/**
	 * Builds requests.
	 */
	public static final class Builder {

		private int maxNewTokens = 128;

		private double temperature = 1;

		private int candidates = BatchSampler.DEFAULT_CANDIDATES;

		private int topK = BatchSampler.ALL;

		private double topP = 1;

		private boolean exact;

		private long seed = 1;

		private List<String> stop = List.of();

		private @Nullable Duration deadline;

		private boolean specialTokens;

		private Builder() {
		}

		/**
		 * The greatest number of new tokens.
		 * @param maxNewTokens 128 by default
		 * @return this
		 */
		public Builder maxNewTokens(int maxNewTokens) {
			this.maxNewTokens = maxNewTokens;
			return this;
		}

		/**
		 * Sets the temperature T: the lower it is, the more likely is the text.
		 * @param temperature 1 by default, in (0, 1]; in [0, 2] for the baseline, where 0
		 * always takes the most likely token
		 * @return this
		 */
		public Builder temperature(double temperature) {
			this.temperature = temperature;
			return this;
		}

		/**
		 * Lets the baseline choose among the fewest most likely tokens of at least this
		 * probability. CALM models, which know no probabilities, refuse it.
		 * @param topP 1, that is all, by default; in (0, 1]
		 * @return this
		 */
		public Builder topP(double topP) {
			this.topP = topP;
			return this;
		}

		/**
		 * N, draws of which CALM's batch sampler chooses one.
		 * @param candidates 200 by default, at most 10000
		 * @return this
		 */
		public Builder candidates(int candidates) {
			this.candidates = candidates;
			return this;
		}

		/**
		 * Lets the batch sampler choose among the most frequent patches only, or the
		 * baseline among the most likely tokens.
		 * @param topK all by default
		 * @return this
		 */
		public Builder topK(int topK) {
			this.topK = topK;
			return this;
		}

		/**
		 * Draws exactly from the tempered distribution (Algorithm 1) instead of
		 * approximately from a batch of candidates (Algorithm 2); the baseline always
		 * does.
		 * @param exact false by default
		 * @return this
		 */
		public Builder exact(boolean exact) {
			this.exact = exact;
			return this;
		}

		/**
		 * Sets the seed of all random choices: the same request with the same seed has
		 * the same text.
		 * @param seed 1 by default
		 * @return this
		 */
		public Builder seed(long seed) {
			this.seed = seed;
			return this;
		}

		/**
		 * Strings that end the text; they are not part of it.
		 * @param stop none by default
		 * @return this
		 */
		public Builder stop(String... stop) {
			this.stop = List.of(stop);
			return this;
		}

		/**
		 * How long the request may wait and run.
		 * @param deadline none by default
		 * @return this
		 */
		public Builder deadline(Duration deadline) {
			this.deadline = deadline;
			return this;
		}

		/**
		 * Takes what stands between {@link PromptTokens#SPECIAL} and
		 * {@link PromptTokens#SPECIAL_END} in the prompt for a special token, such as
		 * {@code <|im_end|>}. Otherwise no text is one, whoever has written it.
		 * @param specialTokens false by default
		 * @return this
		 */
		public Builder specialTokens(boolean specialTokens) {
			this.specialTokens = specialTokens;
			return this;
		}

		private Sampling sampling() {
			return new Sampling(this.temperature, this.topK, this.topP, this.candidates, this.exact);
		}

	}

}

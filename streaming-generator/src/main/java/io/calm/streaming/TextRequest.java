package io.calm.streaming;

import java.time.Instant;
import java.util.List;
import java.util.UUID;
import java.util.function.Consumer;

import org.jspecify.annotations.Nullable;

/**
 * A text that is wanted. What is {@code null} is as the service's properties
 * {@code calm.generation.*} have it.
 *
 * @param id names the request, and is the key of its record; never used twice
 * @param prompt the beginning of the text; may be empty
 * @param maxNewTokens the greatest number of new tokens
 * @param temperature the lower, the more likely the text; in (0, 1]
 * @param candidates N, draws of which the batch sampler chooses one
 * @param exact whether patches are drawn exactly from the tempered distribution
 * @param seed of the draws, which depend on the id too: a request that is generated again
 * normally says the same
 * @param stop strings that end the text before them, or {@code null}
 * @param deadline when the text is of no use any more; a header of the record
 */
public record TextRequest(String id, String prompt, @Nullable Integer maxNewTokens, @Nullable Double temperature,
		@Nullable Integer candidates, @Nullable Boolean exact, @Nullable Long seed, @Nullable List<String> stop,
		@Nullable Instant deadline) {

	/** Copies the list. */
	public TextRequest {
		stop = (stop != null) ? List.copyOf(stop) : null;
	}

	/**
	 * A request, beginning with the service's defaults and an id of its own.
	 * @param prompt the beginning of the text; may be empty
	 * @param options sets what differs
	 * @return the request
	 */
	public static TextRequest of(String prompt, Consumer<Builder> options) {
		Builder builder = new Builder();
		options.accept(builder);
		return new TextRequest(builder.id, prompt, builder.maxNewTokens, builder.temperature, builder.candidates,
				builder.exact, builder.seed, builder.stop, builder.deadline);
	}

	/** Without prompt and stop strings, which are private. */
	@Override
	public String toString() {
		return "TextRequest[id=" + this.id + ", maxNewTokens=" + this.maxNewTokens + ", temperature=" + this.temperature
				+ ", candidates=" + this.candidates + ", exact=" + this.exact + ", seed=" + this.seed + ", deadline="
				+ this.deadline + "]";
	}

	/**
	 * Builds requests.
	 */
	public static final class Builder {

		private String id = UUID.randomUUID().toString();

		private @Nullable Integer maxNewTokens;

		private @Nullable Double temperature;

		private @Nullable Integer candidates;

		private @Nullable Boolean exact;

		private @Nullable Long seed;

		private @Nullable List<String> stop;

		private @Nullable Instant deadline;

		private Builder() {
		}

		/**
		 * Names the request, so that its chunks can be told from others.
		 * @param id a random UUID by default
		 * @return this
		 */
		public Builder id(String id) {
			this.id = id;
			return this;
		}

		/**
		 * The greatest number of new tokens.
		 * @param maxNewTokens the service's default by default
		 * @return this
		 */
		public Builder maxNewTokens(int maxNewTokens) {
			this.maxNewTokens = maxNewTokens;
			return this;
		}

		/**
		 * Sets the temperature T: the lower it is, the more likely is the text.
		 * @param temperature in (0, 1]
		 * @return this
		 */
		public Builder temperature(double temperature) {
			this.temperature = temperature;
			return this;
		}

		/**
		 * N, draws of which the batch sampler chooses one.
		 * @param candidates at least 1
		 * @return this
		 */
		public Builder candidates(int candidates) {
			this.candidates = candidates;
			return this;
		}

		/**
		 * Draws exactly from the tempered distribution instead of approximately from a
		 * batch of candidates.
		 * @param exact whether
		 * @return this
		 */
		public Builder exact(boolean exact) {
			this.exact = exact;
			return this;
		}

		/**
		 * Sets the seed of all random choices: the same request with the same seed has
		 * the same text.
		 * @param seed of the random choices, of 64 bits
		 * @return this
		 */
		public Builder seed(long seed) {
			this.seed = seed;
			return this;
		}

		/**
		 * Strings that end the text; they are not part of it.
		 * @param stop none of them empty
		 * @return this
		 */
		public Builder stop(String... stop) {
			this.stop = List.of(stop);
			return this;
		}

		/**
		 * When the text is of no use any more.
		 * @param deadline by the clocks of caller and service, which have to agree
		 * @return this
		 */
		public Builder deadline(Instant deadline) {
			this.deadline = deadline;
			return this;
		}

	}

}

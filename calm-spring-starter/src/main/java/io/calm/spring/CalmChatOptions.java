package io.calm.spring;

import java.util.Objects;

import org.jspecify.annotations.Nullable;

import org.springframework.ai.chat.prompt.ChatOptions;
import org.springframework.ai.chat.prompt.DefaultChatOptions;
import org.springframework.ai.chat.prompt.DefaultChatOptionsBuilder;

/**
 * What a call of the {@link CalmChatModel} may set beside the options that all chat
 * models have. What is not set is as {@code calm.generation.*} has it.
 */
public final class CalmChatOptions extends DefaultChatOptions {

	private final @Nullable Long seed;

	private final @Nullable Integer candidates;

	private final @Nullable Boolean exact;

	private CalmChatOptions(ChatOptions common, Builder builder) {
		super(common.getModel(), common.getFrequencyPenalty(), common.getMaxTokens(), common.getPresencePenalty(),
				common.getStopSequences(), common.getTemperature(), common.getTopK(), common.getTopP());
		this.seed = builder.seed;
		this.candidates = builder.candidates;
		this.exact = builder.exact;
	}

	/**
	 * Begins options without any set.
	 * @return a builder
	 */
	public static Builder builder() {
		return new Builder();
	}

	/**
	 * The seed of the draws: with it, the same prompt gives the same text.
	 * @return it, or {@code null} if it is not set
	 */
	public @Nullable Long getSeed() {
		return this.seed;
	}

	/**
	 * How many patches are drawn, of which the batch sampler chooses one.
	 * @return N, or {@code null} if it is not set
	 */
	public @Nullable Integer getCandidates() {
		return this.candidates;
	}

	/**
	 * Whether patches are drawn exactly from the tempered distribution.
	 * @return it, or {@code null} if it is not set
	 */
	public @Nullable Boolean getExact() {
		return this.exact;
	}

	@Override
	public Builder mutate() {
		return new Builder().model(getModel())
			.frequencyPenalty(getFrequencyPenalty())
			.maxTokens(getMaxTokens())
			.presencePenalty(getPresencePenalty())
			.stopSequences(getStopSequences())
			.temperature(getTemperature())
			.topK(getTopK())
			.topP(getTopP())
			.seed(this.seed)
			.candidates(this.candidates)
			.exact(this.exact);
	}

	@Override
	public boolean equals(@Nullable Object other) {
		return super.equals(other) && other instanceof CalmChatOptions options
				&& Objects.equals(this.seed, options.seed) && Objects.equals(this.candidates, options.candidates)
				&& Objects.equals(this.exact, options.exact);
	}

	@Override
	public int hashCode() {
		return Objects.hash(super.hashCode(), this.seed, this.candidates, this.exact);
	}

	/**
	 * Collects options.
	 */
	public static final class Builder extends DefaultChatOptionsBuilder<Builder> {

		private @Nullable Long seed;

		private @Nullable Integer candidates;

		private @Nullable Boolean exact;

		private Builder() {
		}

		/**
		 * Sets the seed of the draws.
		 * @param seed the same prompt with the same seed gives the same text;
		 * {@code null} unsets it
		 * @return this
		 */
		public Builder seed(@Nullable Long seed) {
			this.seed = seed;
			return this;
		}

		/**
		 * Sets how many patches are drawn, of which the batch sampler chooses one.
		 * @param candidates N, from 1; {@code null} unsets it
		 * @return this
		 */
		public Builder candidates(@Nullable Integer candidates) {
			this.candidates = candidates;
			return this;
		}

		/**
		 * Sets whether patches are drawn exactly from the tempered distribution, instead
		 * of approximately from the candidates.
		 * @param exact {@code null} unsets it
		 * @return this
		 */
		public Builder exact(@Nullable Boolean exact) {
			this.exact = exact;
			return this;
		}

		/** What the other one has set wins. */
		@Override
		public Builder combineWith(ChatOptions.Builder<?> other) {
			super.combineWith(other);
			if (other instanceof Builder options) {
				this.seed = (options.seed != null) ? options.seed : this.seed;
				this.candidates = (options.candidates != null) ? options.candidates : this.candidates;
				this.exact = (options.exact != null) ? options.exact : this.exact;
			}
			return this;
		}

		@Override
		public CalmChatOptions build() {
			return new CalmChatOptions(super.build(), this);
		}

	}

}

package io.calm.evaluation;

import java.util.Locale;

/**
 * What a model that knows likelihoods scores on a text, with standard errors.
 *
 * @param crossEntropy nats per token, mean over all tokens that can be predicted
 * @param crossEntropyError its standard error
 * @param perplexity {@code exp(crossEntropy)}
 * @param perplexityError its standard error
 * @param tokens over how many tokens the mean was taken
 * @param everyPosition BrierLM with every token as the beginning of an n-gram
 * @param patchAligned BrierLM with the first tokens of patches only: the positions at
 * which a CALM model of that patch size is scored on the same text
 */
public record LikelihoodScore(double crossEntropy, double crossEntropyError, double perplexity, double perplexityError,
		long tokens, BrierScore everyPosition, BrierScore patchAligned) {

	@Override
	public String toString() {
		return String.format(Locale.ROOT,
				"cross entropy %.4f ± %.4f, perplexity %.2f ± %.2f, %d tokens; at every position %s; patch-aligned %s",
				this.crossEntropy, this.crossEntropyError, this.perplexity, this.perplexityError, this.tokens,
				this.everyPosition, this.patchAligned);
	}

}

package io.calm.evaluation;

/**
 * How well an autoencoder gives back what it was given: the share of tokens, PAD left
 * out.
 *
 * @param accuracy when the mean of the posterior is decoded
 * @param noisyAccuracy when noise of σ = 0.3 is added to it first
 * @param tokens how many were compared
 * @see AutoencoderScoring
 */
public record AutoencoderScore(double accuracy, double noisyAccuracy, long tokens) {

	/** The standard deviation of the noise. */
	public static final double NOISE = 0.3;

}

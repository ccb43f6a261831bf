package io.calm.latent;

import java.util.Arrays;
import java.util.List;

import org.jspecify.annotations.Nullable;

/**
 * A text as an autoencoder sees it: the posterior of the latent vector of each patch.
 *
 * @param patchSize K, tokens of a patch
 * @param tokens of the text, patch by patch; the first patch begins with PAD if the text
 * is no whole number of patches long
 * @param means μ of each patch, of l numbers each
 * @param deviations σ of each patch, of l numbers each
 */
public record Latents(int patchSize, List<Integer> tokens, List<float[]> means, List<float[]> deviations) {

	/**
	 * How many patches the text has.
	 * @return 0 for the empty text
	 */
	public int patches() {
		return this.means.size();
	}

	/**
	 * One vector for the whole text: the mean of its patches' means, of length 1. Two
	 * texts are alike, in words rather than in meaning, if the product of their vectors
	 * is near 1.
	 * @return l numbers, all 0 for the empty text
	 */
	public float[] centre() {
		float[] sum = new float[this.means.isEmpty() ? 0 : this.means.get(0).length];
		for (float[] mean : this.means) {
			for (int i = 0; i < sum.length; i++) {
				sum[i] += mean[i];
			}
		}
		double length = 0;
		for (float each : sum) {
			length += (double) each * each;
		}
		if (length > 0) {
			for (int i = 0; i < sum.length; i++) {
				sum[i] /= (float) Math.sqrt(length);
			}
		}
		return sum;
	}

	@Override
	public boolean equals(@Nullable Object other) {
		return other instanceof Latents latents && this.patchSize == latents.patchSize
				&& this.tokens.equals(latents.tokens) && equal(this.means, latents.means)
				&& equal(this.deviations, latents.deviations);
	}

	private static boolean equal(List<float[]> some, List<float[]> others) {
		return Arrays.deepEquals(some.toArray(), others.toArray());
	}

	@Override
	public int hashCode() {
		return 31 * this.tokens.hashCode() + Arrays.deepHashCode(this.means.toArray());
	}

}

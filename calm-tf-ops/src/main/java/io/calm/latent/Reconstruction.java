package io.calm.latent;

import java.util.List;

/**
 * What an autoencoder makes of a text when it decodes the means of its posteriors.
 *
 * @param tokens how many the text has
 * @param text that comes back
 * @param differences the tokens that do not come back, in their order
 */
public record Reconstruction(int tokens, String text, List<Difference> differences) {

	/**
	 * The share of tokens that come back.
	 * @return 0 to 1; 1 for the empty text
	 */
	public double accuracy() {
		return (this.tokens == 0) ? 1 : 1 - (double) this.differences.size() / this.tokens;
	}

	/**
	 * A token that does not come back.
	 *
	 * @param position of the token, counted from 0
	 * @param token as the text has it
	 * @param restored what came in its place
	 */
	public record Difference(int position, String token, String restored) {
	}

}

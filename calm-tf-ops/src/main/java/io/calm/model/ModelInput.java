package io.calm.model;

/**
 * What of a patch the backbone is given (the paper's table 5).
 */
public enum ModelInput {

	/** The embeddings of its K tokens, as in the authors' models. */
	DISCRETE,
	/**
	 * Its latent vector: the mean of the frozen autoencoder's posterior of its tokens,
	 * also of a patch that was generated. A patch thus has one input, whichever of the
	 * vectors that decode to it was drawn, and samplers may choose among tokens.
	 */
	CONTINUOUS,
	/** Both, side by side. */
	BOTH;

	boolean hasTokens() {
		return this != CONTINUOUS;
	}

	boolean hasLatent() {
		return this != DISCRETE;
	}

}

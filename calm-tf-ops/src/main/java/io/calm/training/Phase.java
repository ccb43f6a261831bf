package io.calm.training;

/**
 * What a phase of a training trains.
 */
public enum Phase {

	/** The autoencoder of patches, before the language model over it. */
	AUTOENCODER("autoencoder"),

	/** A CALM language model, over an autoencoder that is frozen. */
	LANGUAGE_MODEL("language-model"),

	/** A Transformer that predicts the next token; its training has no other phase. */
	BASELINE("baseline");

	private final String text;

	Phase(String text) {
		this.text = text;
	}

	/**
	 * The name of the phase in progress, metrics and directories.
	 * @return {@code autoencoder}, {@code language-model} or {@code baseline}
	 */
	@Override
	public String toString() {
		return this.text;
	}

}

package io.calm.model;

/**
 * The shape of a language model, as far as CALM and the baseline Transformer have the
 * same.
 */
public sealed interface LanguageModelConfig permits CalmConfig, BaselineConfig {

	/**
	 * V, the number of token ids, PAD included.
	 * @return the size
	 */
	int vocabularySize();

	/**
	 * K, tokens that are predicted at once: 1 for the baseline.
	 * @return the size
	 */
	int patchSize();

	/**
	 * The Transformer, over patches or, in the baseline, over tokens.
	 * @return its shape
	 */
	BackboneConfig backbone();

	/**
	 * The id of PAD.
	 * @return an id
	 */
	int padId();

	/**
	 * The id that begins a document.
	 * @return an id
	 */
	int bosId();

	/**
	 * The id that ends a document.
	 * @return an id
	 */
	int eosId();

}

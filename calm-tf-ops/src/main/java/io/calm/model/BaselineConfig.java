package io.calm.model;

/**
 * The shape of a baseline Transformer.
 *
 * @param vocabularySize V, the number of token ids, PAD included
 * @param backbone the Transformer over tokens
 * @param padId the id of PAD
 * @param bosId the id that begins a document
 * @param eosId the id that ends a document
 */
public record BaselineConfig(int vocabularySize, BackboneConfig backbone, int padId, int bosId,
		int eosId) implements LanguageModelConfig {

	/** Checks that the ids are some of the vocabulary. */
	public BaselineConfig {
		CalmConfig.inVocabulary("pad_token_id", padId, vocabularySize);
		CalmConfig.inVocabulary("bos_token_id", bosId, vocabularySize);
		CalmConfig.inVocabulary("eos_token_id", eosId, vocabularySize);
	}

	/** One token at a time. */
	@Override
	public int patchSize() {
		return 1;
	}

}

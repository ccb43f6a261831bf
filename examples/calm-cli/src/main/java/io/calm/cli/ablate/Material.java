package io.calm.cli.ablate;

import java.nio.file.Path;
import java.util.Arrays;

import io.calm.evaluation.MarkovSource;
import io.calm.text.Corpus;
import io.calm.text.TokenStore;
import io.calm.text.Tokenizer;
import org.jspecify.annotations.Nullable;

/**
 * What a study trains and scores on.
 *
 * @param what it is, for the report
 * @param data to train on
 * @param unseen to score on
 * @param vocabularySize V
 * @param padId PAD
 * @param bosId begins a document
 * @param eosId ends a document
 * @param idealBrierLm the best possible score; NaN where nobody knows it
 * @param tokenizer of the text; a source needs none
 */
public record Material(String what, TokenStore data, TokenStore unseen, int vocabularySize, int padId, int bosId,
		int eosId, double idealBrierLm, @Nullable Tokenizer tokenizer) implements AutoCloseable {

	/** Ids before the states: PAD, BOS, EOS. */
	private static final int SPECIAL = 3;

	private static final int TOKENS = 2_000_000;

	private static final int UNSEEN = 400_000;

	/**
	 * A random source whose ideal score is known.
	 * @param states of the source
	 * @param successors of each state
	 * @param seed of source and texts
	 * @return the material
	 */
	public static Material ofKnownSource(int states, int successors, long seed) {
		MarkovSource source = MarkovSource.random(states, successors, seed);
		return new Material("a Markov source of " + states + " states with " + successors + " successors each",
				sample(source, TOKENS, seed + 1), sample(source, UNSEEN, seed + 2), SPECIAL + states, 0, 1, 2,
				source.idealBrierLm(), null);
	}

	/**
	 * Text.
	 * @param corpus to train on
	 * @param unseen to score on
	 * @param tokenizer closed with the material
	 * @return the material
	 */
	public static Material ofText(Corpus corpus, Corpus unseen, Tokenizer tokenizer) {
		@Nullable TokenStore data = null;
		try {
			data = TokenStore.of(corpus, tokenizer);
			TokenStore held = TokenStore.of(unseen, tokenizer);
			return new Material(data.tokens() + " tokens of text, scored on " + held.tokens() + " tokens of other text",
					data, held, tokenizer.vocabularySize(), tokenizer.padId(), tokenizer.bosId(), tokenizer.eosId(),
					Double.NaN, tokenizer);
		}
		catch (RuntimeException ex) {
			if (data != null) {
				data.close();
			}
			tokenizer.close();
			throw ex;
		}
	}

	private static TokenStore sample(MarkovSource source, int length, long seed) {
		return TokenStore.of(Arrays.stream(source.sample(length, seed)).map((state) -> state + SPECIAL).toArray());
	}

	void saveTokenizer(Path model) {
		if (this.tokenizer != null) {
			this.tokenizer.save(model);
		}
	}

	@Override
	public void close() {
		this.data.close();
		this.unseen.close();
		if (this.tokenizer != null) {
			this.tokenizer.close();
		}
	}

}

package io.calm.evaluation;

import java.nio.file.Path;

import io.calm.graph.ProgramOptions;
import io.calm.text.TokenStore;

/**
 * Scores a model on text. The same settings give the same score.
 *
 * @param <S> what there is to say of the model
 */
public sealed interface Scoring<S> permits AutoencoderScoring, BrierScoring, LikelihoodScoring {

	/**
	 * Scores a model.
	 * @param directory of the model
	 * @param data the text, which the model has not been trained on
	 * @param options device and precision
	 * @return the score
	 * @throws io.calm.input.InvalidInputException if it is a model of another kind, or
	 * its files do not fit together
	 */
	S score(Path directory, TokenStore data, ProgramOptions options);

}

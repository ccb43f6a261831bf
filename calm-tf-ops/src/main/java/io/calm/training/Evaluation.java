package io.calm.training;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

import io.calm.evaluation.AutoencoderScore;
import io.calm.evaluation.AutoencoderScoring;
import io.calm.evaluation.BrierScore;
import io.calm.evaluation.BrierScoring;
import io.calm.evaluation.LikelihoodScore;
import io.calm.evaluation.LikelihoodScoring;
import io.calm.graph.ProgramOptions;
import io.calm.text.TokenStore;

/**
 * Scores what a training has reached. It sees the model as a checkpoint has it, so what
 * is scored is what would be used: the average of the weights where there is one.
 */
@FunctionalInterface
public interface Evaluation {

	/** The name of BrierLM among the scores. */
	String BRIER_LM = BrierScore.BRIER_LM;

	/** The name of Brier-1 among the scores. */
	String BRIER_1 = "brier_1";

	/** The name of an autoencoder's accuracy among the scores. */
	String ACCURACY = "accuracy";

	/** Knows nothing to say. */
	Evaluation NONE = (checkpoint) -> Map.of();

	/**
	 * Scores the model in a directory.
	 * @param checkpoint the model's directory
	 * @return the scores, by name
	 */
	Map<String, Double> score(Path checkpoint);

	/**
	 * Tells the better of two models: the one with the greater BrierLM, and while that is
	 * 0, as it is of models that have learned little, the one with the greater Brier-1.
	 * @param scores of a model
	 * @return a number that rises with its quality; NaN if the scores do not tell
	 */
	default double quality(Map<String, Double> scores) {
		double brierLm = scores.getOrDefault(BRIER_LM, Double.NaN);
		// Brier-1 is at most 1
		return (brierLm == 0) ? scores.getOrDefault(BRIER_1, 0.0) - 1 : brierLm;
	}

	/**
	 * Lets a model write.
	 * @param checkpoint the model's directory
	 * @return some texts; none by default
	 */
	default List<Sample> samples(Path checkpoint) {
		return List.of();
	}

	/**
	 * The same scores, and texts.
	 * @param samples writes them, given the model's directory
	 * @return the evaluation
	 */
	default Evaluation withSamples(Function<Path, List<Sample>> samples) {
		Evaluation scored = this;
		return new Evaluation() {
			@Override
			public Map<String, Double> score(Path checkpoint) {
				return scored.score(checkpoint);
			}

			@Override
			public double quality(Map<String, Double> scores) {
				return scored.quality(scores);
			}

			@Override
			public List<Sample> samples(Path checkpoint) {
				return samples.apply(checkpoint);
			}
		};
	}

	/**
	 * An autoencoder's accuracy: {@code accuracy}, and {@code noisy_accuracy} with noise
	 * of σ = 0.3 on the latent vectors.
	 * @param unseen text that is not trained on; stays the caller's
	 * @param options device and precision
	 * @return the evaluation
	 */
	static Evaluation ofAutoencoder(TokenStore unseen, ProgramOptions options) {
		return new Evaluation() {
			@Override
			public Map<String, Double> score(Path checkpoint) {
				AutoencoderScore score = new AutoencoderScoring(1).score(checkpoint, unseen, options);
				Map<String, Double> scores = new LinkedHashMap<>();
				scores.put(ACCURACY, score.accuracy());
				scores.put("noisy_accuracy", score.noisyAccuracy());
				return scores;
			}

			@Override
			public double quality(Map<String, Double> scores) {
				return scores.getOrDefault(ACCURACY, Double.NaN);
			}
		};
	}

	/**
	 * A language model's {@code brier_lm} with {@code brier_lm_error}, and
	 * {@code brier_1} to {@code brier_4}.
	 * @param unseen text that is not trained on; stays the caller's
	 * @param scoring how to score
	 * @param options device and precision
	 * @return the evaluation
	 */
	static Evaluation ofLanguageModel(TokenStore unseen, BrierScoring scoring, ProgramOptions options) {
		return (checkpoint) -> scoring.score(checkpoint, unseen, options).byName();
	}

	/**
	 * A baseline's {@code cross_entropy} with {@code cross_entropy_error},
	 * {@code perplexity}, and what {@link #ofLanguageModel} gives, at the same positions.
	 * @param unseen text that is not trained on; stays the caller's
	 * @param scoring how to score
	 * @param options device and precision
	 * @return the evaluation
	 */
	static Evaluation ofBaseline(TokenStore unseen, LikelihoodScoring scoring, ProgramOptions options) {
		return (checkpoint) -> {
			LikelihoodScore score = scoring.score(checkpoint, unseen, options);
			Map<String, Double> scores = new LinkedHashMap<>();
			scores.put("cross_entropy", score.crossEntropy());
			scores.put("cross_entropy_error", score.crossEntropyError());
			scores.put("perplexity", score.perplexity());
			scores.putAll(score.patchAligned().byName());
			return scores;
		};
	}

}

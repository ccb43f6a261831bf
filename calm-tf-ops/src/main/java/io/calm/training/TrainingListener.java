package io.calm.training;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * Follows a training. Called on the training thread, so it should be quick; what it
 * throws ends the training.
 */
public interface TrainingListener {

	/**
	 * Called every few megabytes while a text is made into tokens, before the start. Not
	 * called for a text whose tokens are kept from an earlier training.
	 * @param bytes of the text's files that have been read
	 * @param ofBytes how many there are
	 * @param tokens made so far
	 */
	default void onTokens(long bytes, long ofBytes, long tokens) {
	}

	/**
	 * Before the first step.
	 * @param start what is trained, from what, and where
	 */
	default void onStart(TrainingStart start) {
	}

	/**
	 * Called after every step.
	 * @param metrics of the step
	 */
	default void onStep(StepMetrics metrics) {
	}

	/**
	 * After an evaluation. That of step 0 is of the model that a fine-tuning began with.
	 * @param phase {@code autoencoder}, {@code language-model} or {@code baseline}
	 * @param step evaluated
	 * @param metrics by name
	 */
	default void onEvaluation(String phase, long step, Map<String, Double> metrics) {
	}

	/**
	 * After an evaluation of a language model, if the training was given prompts.
	 * @param phase {@code language-model} or {@code baseline}
	 * @param step evaluated
	 * @param samples a text for each prompt
	 */
	default void onSamples(String phase, long step, List<Sample> samples) {
	}

	/**
	 * After a checkpoint was written.
	 * @param phase {@code autoencoder}, {@code language-model} or {@code baseline}
	 * @param step saved
	 * @param directory the checkpoint
	 */
	default void onCheckpoint(String phase, long step, Path directory) {
	}

	/**
	 * After an evaluation whose score was better than all before, in a training with
	 * {@link TrainingOptions#patience()}.
	 * @param phase {@code autoencoder}, {@code language-model} or {@code baseline}
	 * @param step evaluated
	 * @param directory the model, without the optimiser's state
	 */
	default void onBest(String phase, long step, Path directory) {
	}

	/**
	 * After the last step, or when the training was interrupted and its state saved.
	 * @param phase {@code autoencoder}, {@code language-model} or {@code baseline}
	 * @param step the last one
	 */
	default void onEnd(String phase, long step) {
	}

	/**
	 * When the training fails.
	 * @param phase {@code autoencoder}, {@code language-model} or {@code baseline}
	 * @param failure the reason
	 */
	default void onFailure(String phase, RuntimeException failure) {
	}

}

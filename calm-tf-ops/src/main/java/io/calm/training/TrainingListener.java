package io.calm.training;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import java.util.function.Supplier;

/**
 * Follows a training, which has one or several phases. Called on the training thread, so
 * it should be quick; what it throws ends the training.
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
	 * Before the first phase of a training. A {@link Trainer} that is used alone does not
	 * tell it: its phase is all there is.
	 * @param phases what is trained, in this order
	 */
	default void onTrainingStart(List<Phase> phases) {
	}

	/**
	 * After the last phase of a training that began with {@link #onTrainingStart}, when
	 * the model is in its place, or after the phase that could not go on.
	 * @param end whether there is a model
	 */
	default void onTrainingEnd(TrainingEnd end) {
	}

	/**
	 * Before the first step of a phase.
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
	 * @param phase what is trained
	 * @param step evaluated
	 * @param metrics by name
	 */
	default void onEvaluation(Phase phase, long step, Map<String, Double> metrics) {
	}

	/**
	 * After an evaluation of a language model, if the training was given prompts.
	 * @param phase what is trained: a language model or a baseline
	 * @param step evaluated
	 * @param samples a text for each prompt
	 */
	default void onSamples(Phase phase, long step, List<Sample> samples) {
	}

	/**
	 * After a checkpoint was written.
	 * @param phase what is trained
	 * @param step saved
	 * @param directory the checkpoint
	 */
	default void onCheckpoint(Phase phase, long step, Path directory) {
	}

	/**
	 * After an evaluation whose score was better than all before, in a training with
	 * {@link TrainingOptions#patience()}.
	 * @param phase what is trained
	 * @param step evaluated
	 * @param directory the model, without the optimiser's state
	 */
	default void onBest(Phase phase, long step, Path directory) {
	}

	/**
	 * After the last step of a phase, or when it was interrupted and its state saved.
	 * @param phase what is trained
	 * @param step the last one
	 */
	default void onEnd(Phase phase, long step) {
	}

	/**
	 * When a phase fails.
	 * @param phase what is trained
	 * @param failure the reason
	 */
	default void onFailure(Phase phase, RuntimeException failure) {
	}

	/**
	 * Does a whole training and tells listeners when it begins and how it ends.
	 * @param listeners to be told
	 * @param phases what is trained, in this order
	 * @param training trains the phases, which tell the listeners of themselves, and puts
	 * the model into its place
	 * @param <T> what the training makes
	 * @return what the training has made
	 */
	static <T> T follow(List<TrainingListener> listeners, List<Phase> phases, Supplier<T> training) {
		return follow(listeners, phases, training, (made) -> false);
	}

	/**
	 * The same of a training that may pause: see {@link TrainingOptions#pauseAfter()}.
	 * @param listeners to be told
	 * @param phases what is trained, in this order
	 * @param training trains the phases, and puts the model into its place unless it
	 * pauses
	 * @param pauses whether what it has made is only how far it has come
	 * @param <T> what the training makes
	 * @return what the training has made
	 */
	static <T> T follow(List<TrainingListener> listeners, List<Phase> phases, Supplier<T> training,
			Predicate<T> pauses) {
		T made;
		try {
			listeners.forEach((listener) -> listener.onTrainingStart(phases));
			made = training.get();
		}
		catch (RuntimeException ex) {
			TrainingEnd end = TrainingEnd.by(ex);
			listeners.forEach((listener) -> listener.onTrainingEnd(end));
			throw ex;
		}
		catch (Error ex) {
			TrainingEnd end = TrainingEnd.by(new TrainingException("The training failed: " + ex, ex));
			listeners.forEach((listener) -> listener.onTrainingEnd(end));
			throw ex;
		}
		TrainingEnd end = pauses.test(made) ? TrainingEnd.paused() : TrainingEnd.finished();
		listeners.forEach((listener) -> listener.onTrainingEnd(end));
		return made;
	}

}

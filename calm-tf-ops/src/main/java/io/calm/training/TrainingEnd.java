package io.calm.training;

import org.jspecify.annotations.Nullable;

/**
 * How a whole training ends.
 *
 * @param outcome whether there is a model now, and if not, why
 * @param failure the reason of a training that has failed; else null
 */
public record TrainingEnd(Outcome outcome, @Nullable RuntimeException failure) {

	/** Whether there is a model. */
	public enum Outcome {

		/** The model is in its place. */
		FINISHED,

		/** It has come to the step after which its options let it pause. */
		PAUSED,

		/** The thread was interrupted; the training can go on from its checkpoint. */
		INTERRUPTED,

		/** Something went wrong. */
		FAILED

	}

	static TrainingEnd finished() {
		return new TrainingEnd(Outcome.FINISHED, null);
	}

	static TrainingEnd paused() {
		return new TrainingEnd(Outcome.PAUSED, null);
	}

	/** What ends a training on an interrupted thread is the interrupt. */
	static TrainingEnd by(RuntimeException failure) {
		return Thread.currentThread().isInterrupted() ? new TrainingEnd(Outcome.INTERRUPTED, null)
				: new TrainingEnd(Outcome.FAILED, failure);
	}

}

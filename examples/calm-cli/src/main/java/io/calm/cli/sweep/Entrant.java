package io.calm.cli.sweep;

import java.nio.file.Path;
import java.util.List;

import io.calm.training.TrainingListener;

/**
 * A trial that can be trained.
 *
 * @param trial which one
 * @param steps of its whole training
 * @param flopsPerStep operations of a step
 * @param model the directory of the model, which is there after the last step
 * @param training trains it
 */
public record Entrant(Trial trial, long steps, double flopsPerStep, Path model, Training training) {

	/** Trains a model in parts. */
	@FunctionalInterface
	public interface Training {

		/**
		 * Trains up to a step, or goes on until there, and scores the model then.
		 * @param step the last one of all makes the model
		 * @param listeners follow the training
		 */
		void until(long step, List<TrainingListener> listeners);

	}

}

package io.calm.spring;

import java.util.List;
import java.util.function.Consumer;

import io.calm.Calm;
import io.calm.CalmTraining;
import io.calm.generation.GenerationEngine;
import io.calm.training.TrainingListener;

/**
 * Trains models, followed by every {@link TrainingListener} of the application.
 */
public final class CalmTrainer {

	private final List<TrainingListener> listeners;

	/**
	 * Makes a trainer whose trainings these listeners follow.
	 * @param listeners follow every training
	 */
	public CalmTrainer(List<TrainingListener> listeners) {
		this.listeners = List.copyOf(listeners);
	}

	/**
	 * Trains a model, writes its directory and opens it. To serve it in place of the
	 * present one, close it and give the directory to {@link ServedModel#reload(String)}.
	 * @param training as for {@link Calm#train(Consumer)}
	 * @return the model; close it
	 */
	public GenerationEngine train(Consumer<CalmTraining> training) {
		return Calm.train((options) -> {
			this.listeners.forEach(options::listener);
			training.accept(options);
		});
	}

}

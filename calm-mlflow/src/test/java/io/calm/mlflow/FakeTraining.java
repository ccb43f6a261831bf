package io.calm.mlflow;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import io.calm.training.Phase;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingEnd;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingStart;

/**
 * Says to a listener what a training would say. Its loss after step n is 10 / n.
 *
 * @param directory of the training, in which each phase has its checkpoints
 */
record FakeTraining(TrainingListener listener, Path directory) {

	static final Phase AUTOENCODER = Phase.AUTOENCODER;

	static final Phase LANGUAGE_MODEL = Phase.LANGUAGE_MODEL;

	static final String DIGEST = "0123456789abcdef".repeat(4);

	static double loss(long step) {
		return 10.0 / step;
	}

	Path checkpoints(Phase phase) {
		return this.directory.resolve("model.training").resolve(phase.toString());
	}

	Map<String, Object> settings(long steps) {
		Map<String, Object> settings = new LinkedHashMap<>();
		settings.put("architectures", List.of("One", "Two"));
		settings.put("steps", steps);
		settings.put("learning_rate", 0.001);
		return settings;
	}

	/** Of a whole training; without it, a phase is all there is. */
	void begin() {
		this.listener.onTrainingStart(List.of(AUTOENCODER, LANGUAGE_MODEL));
	}

	void end(TrainingEnd.Outcome outcome) {
		this.listener.onTrainingEnd(new TrainingEnd(outcome, null));
	}

	void start(Phase phase, long firstStep, long steps) {
		start(phase, firstStep, steps, settings(steps), DIGEST);
	}

	void start(Phase phase, long firstStep, long steps, Map<String, Object> settings, String dataDigest) {
		this.listener
			.onStart(new TrainingStart(phase, firstStep, steps, settings, dataDigest, checkpoints(phase), null));
	}

	void steps(Phase phase, long from, long to, long steps) {
		for (long step = from; step <= to; step++) {
			this.listener.onStep(
					new StepMetrics(phase, step, steps, loss(step), 0.001 * step, 0.5, 12.5, 1000, Map.of("kl", 0.25)));
		}
	}

	/** A phase from its first step to its last, with an evaluation at the end. */
	void phase(Phase phase, long steps) {
		start(phase, 1, steps);
		steps(phase, 1, steps, steps);
		this.listener.onEvaluation(phase, steps,
				phase.equals(AUTOENCODER) ? Map.of("accuracy", 0.75) : Map.of("brier_lm", 7.5, "brier_1", 0.125));
		this.listener.onEnd(phase, steps);
	}

	/** Files as a checkpoint has them. */
	Path writeCheckpoint(Phase phase, String weights) {
		try {
			Path checkpoint = Files.createDirectories(checkpoints(phase));
			Files.writeString(checkpoint.resolve("config.json"), "{}");
			Files.writeString(checkpoint.resolve("model.safetensors"), weights);
			return checkpoint;
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

}

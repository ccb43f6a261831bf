package io.calm.examples.quickstart;

import java.io.PrintStream;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

import io.calm.training.Phase;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingListener;

/**
 * Shows a training: a line for each twentieth of a phase, as readable in a file as on a
 * terminal, and one for each evaluation.
 *
 * @param out where to
 */
public record Progress(PrintStream out) implements TrainingListener {

	@Override
	public void onStep(StepMetrics step) {
		if (step.step() == 1 || step.step() % Math.max(1, step.steps() / 20) == 0) {
			this.out.printf(Locale.ROOT, "%-15s step %5d of %d  loss %7.3f  %,8.0f tokens/s%n", step.phase(),
					step.step(), step.steps(), step.loss(), step.tokensPerSecond());
		}
	}

	@Override
	public void onEvaluation(Phase phase, long step, Map<String, Double> scores) {
		this.out.printf(Locale.ROOT, "%s on unseen text: %s%n", phase,
				scores.entrySet()
					.stream()
					.map((score) -> String.format(Locale.ROOT, "%s %.4g", score.getKey(), score.getValue()))
					.collect(Collectors.joining(", ")));
	}

}

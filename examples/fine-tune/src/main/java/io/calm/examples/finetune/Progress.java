package io.calm.examples.finetune;

import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

import io.calm.training.Phase;
import io.calm.training.TrainingListener;

/**
 * A line for each evaluation, and one for the end of a phase.
 */
record Progress(PrintStream out) implements TrainingListener {

	@Override
	public void onEvaluation(Phase phase, long step, Map<String, Double> scores) {
		this.out.printf(Locale.ROOT, "%s, step %d: %s%n", phase, step,
				scores.entrySet()
					.stream()
					.filter((score) -> !score.getKey().matches("brier_\\d"))
					.map((score) -> String.format(Locale.ROOT, "%s %.4g", score.getKey(), score.getValue()))
					.collect(Collectors.joining(", ")));
	}

	@Override
	public void onBest(Phase phase, long step, Path directory) {
		this.out.println("  the best so far");
	}

	@Override
	public void onEnd(Phase phase, long step) {
		this.out.printf(Locale.ROOT, "%s: ended after step %d%n", phase, step);
	}

}

package io.calm.cli;

import java.util.Locale;
import java.util.Map;

import io.calm.training.StepMetrics;
import io.calm.training.TrainingListener;
import org.jspecify.annotations.Nullable;

/** Shows a training as a progress bar for each of its phases. */
final class TrainingProgress implements TrainingListener {

	private final Subcommand command;

	private @Nullable ProgressBar bar;

	TrainingProgress(Subcommand command) {
		this.command = command;
	}

	@Override
	public void onStart(String phase, long firstStep, Map<String, Object> settings) {
		this.bar = null;
	}

	@Override
	public void onStep(StepMetrics metrics) {
		ProgressBar shown = this.bar;
		if (shown == null) {
			shown = this.command.progress(metrics.phase(), metrics.steps());
			this.bar = shown;
		}
		shown.update(metrics.step(),
				String.format(Locale.ROOT, "loss %.4f  %,.0f tokens/s", metrics.loss(), metrics.tokensPerSecond()));
	}

	@Override
	public void onEnd(String phase, long step) {
		if (this.bar != null) {
			this.bar.close();
		}
	}

}

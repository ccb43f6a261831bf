package io.calm.cli;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

import io.calm.training.Phase;
import io.calm.training.Sample;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingStart;
import org.jspecify.annotations.Nullable;

/** Shows a training as a progress bar for each of its phases. */
final class TrainingProgress implements TrainingListener, AutoCloseable {

	private final Subcommand command;

	private final String label;

	private @Nullable TokenizingProgress tokenizing;

	private long tokenizedBytes;

	private @Nullable ProgressBar bar;

	TrainingProgress(Subcommand command) {
		this(command, "");
	}

	/** For one of several models. */
	TrainingProgress(Subcommand command, String label) {
		this.command = command;
		this.label = label;
	}

	@Override
	public void onTokens(long bytes, long ofBytes, long tokens) {
		TokenizingProgress shown = this.tokenizing;
		if (shown == null) {
			shown = new TokenizingProgress(this.command);
			this.tokenizing = shown;
		}
		if (bytes < this.tokenizedBytes) {
			// another text
			shown.close();
			shown = new TokenizingProgress(this.command);
			this.tokenizing = shown;
		}
		this.tokenizedBytes = bytes;
		shown.onTokens(bytes, ofBytes, tokens);
	}

	@Override
	public void onStart(TrainingStart start) {
		close();
		this.bar = null;
	}

	@Override
	public void onStep(StepMetrics metrics) {
		ProgressBar shown = this.bar;
		if (shown == null) {
			shown = this.command.progress(this.label + metrics.phase(), metrics.steps());
			this.bar = shown;
		}
		shown.update(metrics.step(),
				String.format(Locale.ROOT, "loss %.4f  %,.0f tokens/s", metrics.loss(), metrics.tokensPerSecond()));
	}

	@Override
	public void onEvaluation(Phase phase, long step, Map<String, Double> metrics) {
		if (this.bar != null && !metrics.isEmpty()) {
			String scores = metrics.entrySet()
				.stream()
				.map((score) -> String.format(Locale.ROOT, "%s %.4g", score.getKey(), score.getValue()))
				.collect(Collectors.joining("  "));
			this.bar.tell(this.label + phase + " after " + step + " steps: " + scores);
		}
	}

	@Override
	public void onSamples(Phase phase, long step, List<Sample> samples) {
		if (this.bar != null) {
			for (Sample sample : samples) {
				this.bar.tell(sample.prompt() + "|" + sample.text().replaceAll("\\p{Cntrl}", " "));
			}
		}
	}

	@Override
	public void onEnd(Phase phase, long step) {
		close();
	}

	/** The error is to begin on a line of its own. */
	@Override
	public void onFailure(Phase phase, RuntimeException failure) {
		close();
	}

	@Override
	public void close() {
		if (this.tokenizing != null) {
			this.tokenizing.close();
			this.tokenizing = null;
		}
		if (this.bar != null) {
			this.bar.close();
			this.bar = null;
		}
	}

}

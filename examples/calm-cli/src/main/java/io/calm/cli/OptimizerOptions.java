package io.calm.cli;

import io.calm.training.LearningRate;
import io.calm.training.OptimizerConfig;
import io.calm.training.TrainingOptions;
import picocli.CommandLine.Option;

/** How the steps of a training are made. */
final class OptimizerOptions {

	@Option(names = "--accumulation", defaultValue = "1",
			description = "Batches per step, whose gradients are added up (default: ${DEFAULT-VALUE}).")
	private int accumulation;

	@Option(names = "--warmup", defaultValue = "100",
			description = "Steps over which the learning rate rises (default: ${DEFAULT-VALUE}).")
	private long warmup;

	@Option(names = "--decay", defaultValue = "cosine",
			description = "What the learning rate does after the warm-up: constant; linear or cosine, down to a tenth; "
					+ "or late, linear in the last fifth (default: ${DEFAULT-VALUE}).")
	private LearningRate.Decay decay = LearningRate.Decay.COSINE;

	@Option(names = "--averaging", defaultValue = "0.999",
			description = "Decay of the running average of the language model's weights. The average is what is saved; "
					+ "0 saves the weights themselves (default: ${DEFAULT-VALUE}).")
	private double averaging;

	@Option(names = "--weight-decay", defaultValue = "0.1",
			description = "AdamW's decay of matrices, as a share of the learning rate (default: ${DEFAULT-VALUE}).")
	private double weightDecay;

	@Option(names = "--clip-norm", defaultValue = "1",
			description = "Maximum norm of all gradients together (default: ${DEFAULT-VALUE}).")
	private double clipNorm;

	@Option(names = "--beta1", defaultValue = "0.9",
			description = "AdamW's decay of the first moment (default: ${DEFAULT-VALUE}).")
	private double beta1;

	@Option(names = "--beta2", defaultValue = "0.95",
			description = "AdamW's decay of the second moment (default: ${DEFAULT-VALUE}).")
	private double beta2;

	@Option(names = "--epsilon", defaultValue = "1e-8",
			description = "Added to the root of AdamW's second moment (default: ${DEFAULT-VALUE}).")
	private double epsilon;

	/** All but the averaging, which is the language model's alone. */
	TrainingOptions.Builder applyTo(TrainingOptions.Builder options) {
		return options.accumulation(this.accumulation)
			.warmup(this.warmup)
			.decay(this.decay)
			.optimizer(new OptimizerConfig(this.beta1, this.beta2, this.epsilon, this.weightDecay, this.clipNorm));
	}

	double averaging() {
		return this.averaging;
	}

}

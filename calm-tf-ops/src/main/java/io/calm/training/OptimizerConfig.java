package io.calm.training;

import io.calm.input.InvalidInputException;

/**
 * The constants of AdamW.
 *
 * @param beta1 decay of the first moment
 * @param beta2 decay of the second moment
 * @param epsilon added to the root of the second moment
 * @param weightDecay on matrices, a share of the learning rate
 * @param clipNorm the greatest global norm of the gradients
 */
public record OptimizerConfig(double beta1, double beta2, double epsilon, double weightDecay, double clipNorm) {

	/** Refuses numbers that are out of range. */
	public OptimizerConfig {
		check("beta1", beta1, beta1 >= 0 && beta1 < 1, "choose a number from 0 up to, not including, 1");
		check("beta2", beta2, beta2 >= 0 && beta2 < 1, "choose a number from 0 up to, not including, 1");
		check("epsilon", epsilon, epsilon > 0 && epsilon < 1, "choose a small positive number, such as 1e-8");
		check("weight decay", weightDecay, weightDecay >= 0 && weightDecay < Double.POSITIVE_INFINITY,
				"choose 0 or a positive number, such as 0.1");
		check("clip norm", clipNorm, clipNorm > 0, "choose a positive number, such as 1");
	}

	private static void check(String name, double value, boolean good, String action) {
		if (!good) {
			throw new InvalidInputException("training, " + name, "is " + value, action);
		}
	}

	/** The constants of the paper: β = (0.9, 0.95), ε = 1e-8, decay 0.1, clip 1.0. */
	public static final OptimizerConfig DEFAULT = new OptimizerConfig(0.9, 0.95, 1e-8, 0.1, 1.0);

}

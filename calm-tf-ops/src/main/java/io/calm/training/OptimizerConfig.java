package io.calm.training;

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

	/** The paper's: β = (0.9, 0.95), ε = 1e-8, decay 0.1, clip 1.0. */
	public static final OptimizerConfig DEFAULT = new OptimizerConfig(0.9, 0.95, 1e-8, 0.1, 1.0);

}

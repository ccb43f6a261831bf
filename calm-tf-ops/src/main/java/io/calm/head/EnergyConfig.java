package io.calm.head;

import io.calm.input.InvalidInputException;

/**
 * The shape of an energy head and of its loss.
 *
 * @param hiddenSize d, the width of hidden states and of the head
 * @param latentSize l
 * @param noiseSize of the uniform noise vector
 * @param blocks how many residual blocks
 * @param samples N, model samples per patch in training, at least 2
 * @param targets M, samples of the posterior per patch in training
 * @param alpha the exponent of the energy score, in (0, 2)
 * @param initializerRange standard deviation of the first weights
 */
public record EnergyConfig(int hiddenSize, int latentSize, int noiseSize, int blocks, int samples, int targets,
		double alpha, double initializerRange) {

	/** Checks the numbers. */
	public EnergyConfig {
		if (samples < 2) {
			throw new InvalidInputException("energy head, num_samples", "is " + samples,
					"choose at least 2: the energy score compares samples with each other");
		}
		if (targets < 1) {
			throw new InvalidInputException("energy head, targets", "is " + targets, "choose at least 1");
		}
		if (!(alpha > 0 && alpha < 2)) {
			throw new InvalidInputException("energy head, alpha", "is " + alpha,
					"choose a value strictly between 0 and 2, where the energy score is strictly proper");
		}
	}

}

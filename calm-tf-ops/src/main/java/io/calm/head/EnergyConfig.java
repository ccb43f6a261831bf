package io.calm.head;

import io.calm.graph.Network;
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
		double alpha, double initializerRange) implements HeadConfig {

	/** Refuses numbers that are out of range. */
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

	@Override
	public Noise noise() {
		return new Noise(Noise.Distribution.UNIFORM, this.noiseSize);
	}

	@Override
	public EnergyHead declare(Network network) {
		return new EnergyHead(network, "mlp_generator", this);
	}

	/** Builds the configuration. */
	public static final class Builder implements HeadConfig.Builder {

		private int noiseSize = 64;

		private int samples = 8;

		private int targets = 100;

		private double alpha = 1;

		/**
		 * The size of the noise vector.
		 * @param noiseSize 64 by default
		 * @return this
		 */
		public Builder noiseSize(int noiseSize) {
			this.noiseSize = noiseSize;
			return this;
		}

		/**
		 * N, model samples per patch in training.
		 * @param samples 8 by default, at least 2
		 * @return this
		 */
		@Override
		public Builder samples(int samples) {
			this.samples = samples;
			return this;
		}

		/**
		 * M, samples of the posterior per patch in training.
		 * @param targets 100 by default
		 * @return this
		 */
		public Builder targets(int targets) {
			this.targets = targets;
			return this;
		}

		/**
		 * The exponent of the energy score.
		 * @param alpha 1 by default, in (0, 2)
		 * @return this
		 */
		public Builder alpha(double alpha) {
			this.alpha = alpha;
			return this;
		}

		@Override
		public EnergyConfig build(int hiddenSize, int latentSize, int blocks) {
			return new EnergyConfig(hiddenSize, latentSize, this.noiseSize, blocks, this.samples, this.targets,
					this.alpha, 0.02);
		}

	}

}

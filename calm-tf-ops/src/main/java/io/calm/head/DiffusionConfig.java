package io.calm.head;

import io.calm.graph.Network;
import io.calm.input.InvalidInputException;

/**
 * The shape of a diffusion head and of its sampler.
 *
 * @param hiddenSize d, the width of hidden states and of the head
 * @param latentSize l
 * @param blocks how many residual blocks
 * @param samples N, samples of the posterior per patch in training, each at a step of its
 * own
 * @param steps how many of the 1000 steps of training a draw takes, 2 to 1000
 * @param bound the greatest magnitude of a latent number that a step of a draw believes
 * in; infinite in the reference
 */
public record DiffusionConfig(int hiddenSize, int latentSize, int blocks, int samples, int steps,
		double bound) implements HeadConfig {

	/** A draw's steps where nothing else is said. */
	public static final int STEPS = 100;

	/** Refuses numbers that are out of range. */
	public DiffusionConfig {
		if (samples < 1) {
			throw new InvalidInputException("diffusion head, num_samples", "is " + samples, "choose at least 1");
		}
		if (steps < 2 || steps > AdaLayerNormNetwork.TIMES) {
			throw new InvalidInputException("diffusion head, num_sampling_steps", "is " + steps,
					"choose a number from 2 to " + AdaLayerNormNetwork.TIMES);
		}
		if (!(bound > 0)) {
			throw new InvalidInputException("diffusion head, latent_bound", "is " + bound, "choose a positive number");
		}
	}

	/**
	 * {@inheritDoc}
	 * <p>
	 * The first point and what every step but the last adds, in the order of the steps.
	 */
	@Override
	public Noise noise() {
		return new Noise(Noise.Distribution.NORMAL, Math.multiplyExact(this.steps, this.latentSize));
	}

	@Override
	public DiffusionHead declare(Network network) {
		return new DiffusionHead(network, "generative_head", this);
	}

	/** Builds the configuration. */
	public static final class Builder implements HeadConfig.Builder {

		private int samples = 8;

		private int steps = STEPS;

		private double bound = 10;

		/**
		 * N, samples of the posterior per patch in training.
		 * @param samples 8 by default
		 * @return this
		 */
		@Override
		public Builder samples(int samples) {
			this.samples = samples;
			return this;
		}

		/**
		 * Steps of a draw.
		 * @param steps 100 by default
		 * @return this
		 */
		public Builder steps(int steps) {
			this.steps = steps;
			return this;
		}

		/**
		 * The greatest magnitude of a latent number that a step of a draw believes in.
		 * Without one, a head that is not trained to the end draws numbers without end.
		 * Autoencoders keep latent vectors near the standard normal distribution.
		 * @param bound 10 by default; infinite in the reference
		 * @return this
		 */
		public Builder bound(double bound) {
			this.bound = bound;
			return this;
		}

		@Override
		public DiffusionConfig build(int hiddenSize, int latentSize, int blocks) {
			return new DiffusionConfig(hiddenSize, latentSize, blocks, this.samples, this.steps, this.bound);
		}

	}

}

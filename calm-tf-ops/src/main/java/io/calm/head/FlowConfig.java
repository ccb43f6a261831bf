package io.calm.head;

import io.calm.graph.Network;
import io.calm.input.InvalidInputException;

/**
 * The shape of a flow-matching head and of its sampler.
 *
 * @param hiddenSize d, the width of hidden states and of the head
 * @param latentSize l
 * @param blocks how many residual blocks
 * @param samples N, samples of the posterior per patch in training, each at a time of its
 * own
 * @param solver follows the flow
 * @param steps of the solver, 1 to 1000
 */
public record FlowConfig(int hiddenSize, int latentSize, int blocks, int samples, Solver solver,
		int steps) implements HeadConfig {

	/** The solver's steps where nothing else is said. */
	public static final int STEPS = 10;

	/** Refuses numbers that are out of range. */
	public FlowConfig {
		if (samples < 1) {
			throw new InvalidInputException("flow head, num_samples", "is " + samples, "choose at least 1");
		}
		if (steps < 1 || steps > AdaLayerNormNetwork.TIMES) {
			throw new InvalidInputException("flow head, num_sampling_steps", "is " + steps,
					"choose a number from 1 to " + AdaLayerNormNetwork.TIMES);
		}
	}

	@Override
	public Noise noise() {
		return new Noise(Noise.Distribution.NORMAL, this.latentSize);
	}

	@Override
	public FlowHead declare(Network network) {
		return new FlowHead(network, "generative_head", this);
	}

	/** Builds the configuration. */
	public static final class Builder implements HeadConfig.Builder {

		private int samples = 8;

		private Solver solver = Solver.MIDPOINT;

		private int steps = STEPS;

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
		 * What follows the flow.
		 * @param solver the midpoint method by default
		 * @return this
		 */
		public Builder solver(Solver solver) {
			this.solver = solver;
			return this;
		}

		/**
		 * Steps of the solver.
		 * @param steps 10 by default
		 * @return this
		 */
		public Builder steps(int steps) {
			this.steps = steps;
			return this;
		}

		@Override
		public FlowConfig build(int hiddenSize, int latentSize, int blocks) {
			return new FlowConfig(hiddenSize, latentSize, blocks, this.samples, this.solver, this.steps);
		}

	}

}

package io.calm.head;

import io.calm.graph.Network;
import io.calm.input.InvalidInputException;

/**
 * The shape of a generative head.
 */
public sealed interface HeadConfig permits EnergyConfig, FlowConfig, DiffusionConfig {

	/**
	 * d, the width of hidden states and of the head.
	 * @return the width
	 */
	int hiddenSize();

	/**
	 * The size l of a latent vector.
	 * @return the size of latent vectors
	 */
	int latentSize();

	/**
	 * How many residual blocks the head has.
	 * @return the number
	 */
	int blocks();

	/**
	 * N, how often the head is evaluated for each patch in training.
	 * @return the number
	 */
	int samples();

	/**
	 * What one draw of a latent vector takes.
	 * @return its noise
	 */
	Noise noise();

	/**
	 * Declares the head of this shape, its parameters named as in the reference.
	 * @param network where to build it
	 * @return the head
	 */
	GenerativeHead declare(Network network);

	/**
	 * A head's settings, without what follows from the model that it belongs to.
	 */
	sealed interface Builder permits EnergyConfig.Builder, FlowConfig.Builder, DiffusionConfig.Builder {

		/**
		 * N, how often the head is evaluated for each patch in training.
		 * @param samples 8 by default
		 * @return this
		 */
		Builder samples(int samples);

		/**
		 * Builds the configuration for a model's sizes.
		 * @param hiddenSize d, the width of the backbone
		 * @param latentSize l, of the autoencoder
		 * @param blocks residual blocks
		 * @return the configuration
		 * @throws InvalidInputException if a number is out of its range
		 */
		HeadConfig build(int hiddenSize, int latentSize, int blocks);

	}

}

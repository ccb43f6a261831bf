package io.calm.head;

import io.calm.autoencoder.Posterior;
import io.calm.graph.Draws;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;

/**
 * Predicts the next latent vector from a hidden state, by samples: no head offers a
 * likelihood. {@code R} counts patches.
 */
public sealed interface GenerativeHead permits EnergyHead {

	/**
	 * What training minimises, for each patch.
	 * @param hidden the hidden states {@code [R, d]}
	 * @param target the posterior of the next patch
	 * @param draws the source of the step's random numbers
	 * @return {@code [R]}
	 */
	Operand<TFloat32> loss(Operand<TFloat32> hidden, Posterior target, Draws draws);

	/**
	 * Draws latent vectors.
	 * @param hidden the hidden states {@code [R, d]}
	 * @param samples N, how many for each
	 * @param draws the source of random numbers
	 * @return {@code [R·N, l]}, the samples of a patch side by side
	 */
	Operand<TFloat32> sample(Operand<TFloat32> hidden, int samples, Draws draws);

}

package io.calm.head;

import io.calm.autoencoder.Posterior;
import io.calm.graph.Draws;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * Predicts the next latent vector from a hidden state, by samples: no head offers a
 * likelihood. {@code R} counts patches.
 */
public sealed interface GenerativeHead permits EnergyHead, FlowHead, DiffusionHead {

	/**
	 * What training minimises, for each patch.
	 * @param hidden the hidden states {@code [R, d]}
	 * @param target the posterior of the next patch
	 * @param draws the source of the step's random numbers
	 * @return {@code [R]}
	 */
	Operand<TFloat32> loss(Operand<TFloat32> hidden, Posterior target, Draws draws);

	/**
	 * Turns noise into latent vectors, as many for every patch.
	 * @param hidden the hidden states {@code [R, d]}
	 * @param samples N, how many for each
	 * @param noise as {@link HeadConfig#noise()} says, {@code [R·N, size]}
	 * @return {@code [R·N, l]}, the samples of a patch side by side
	 */
	Operand<TFloat32> sample(Operand<TFloat32> hidden, int samples, Operand<TFloat32> noise);

	/**
	 * Turns noise into latent vectors, some for each patch.
	 * @param hidden the hidden states {@code [R, d]}
	 * @param owners {@code [n]}, the row of {@code hidden} that each sample belongs to
	 * @param noise as {@link HeadConfig#noise()} says, {@code [n, size]}
	 * @return {@code [n, l]}
	 */
	Operand<TFloat32> sample(Operand<TFloat32> hidden, Operand<TInt32> owners, Operand<TFloat32> noise);

	/**
	 * The shape of this head.
	 * @return the configuration
	 */
	HeadConfig config();

	/**
	 * Draws next latent vectors, as many for every hidden state.
	 * @param hidden the hidden states {@code [R, d]}
	 * @param samples N, how many for each
	 * @param draws the source of random numbers
	 * @return {@code [R·N, l]}, the samples of a patch side by side
	 */
	default Operand<TFloat32> sample(Operand<TFloat32> hidden, int samples, Draws draws) {
		return sample(hidden, samples, config().noise().draw(draws, hidden.shape().get(0) * samples));
	}

}

package io.calm.head;

import io.calm.autoencoder.Posterior;
import io.calm.graph.Network;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.op.math.Mean;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat32;

/**
 * The energy loss (section 4.2 of the paper), minus the energy score of N model samples
 * {@code x} against M samples {@code y} of the target's posterior: {@code 2/(N·M) ΣΣ ‖y_m
 * − x_n‖^α − 1/(N(N−1)) Σ_{i≠j} ‖x_i − x_j‖^α}.
 *
 * <p>
 * Distances come from products, {@code ‖a‖² + ‖b‖² − 2a·b}, so that no tensor larger than
 * N×M per patch exists. Both sides are moved to where they are small first: distances do
 * not change, rounding does.
 */
public final class EnergyLoss {

	/**
	 * A squared distance below this share of the squared lengths it is the difference of
	 * is rounding, not distance. It counts as 0 and has no gradient, which for a norm at
	 * 0 would be infinite or NaN.
	 */
	private static final float ROUNDING = 1e-6f;

	private static final float LEAST_SQUARE = 1e-30f;

	private EnergyLoss() {
	}

	/**
	 * Builds the loss of each patch.
	 * @param network where to build it
	 * @param samples x, {@code [R, N, l]}, N ≥ 2
	 * @param target the posterior of the targets
	 * @param noise standard normal, {@code [R, M, l]}: {@code y = μ + σ·noise}
	 * @param alpha the exponent, in (0, 2)
	 * @return {@code [R]}
	 */
	public static Operand<TFloat32> of(Network network, Operand<TFloat32> samples, Posterior target,
			Operand<TFloat32> noise, double alpha) {
		Ops tf = network.tf();
		long patches = samples.shape().get(0);
		long n = samples.shape().get(1);
		long size = samples.shape().get(2);
		// [R, N, l]; μ becomes the origin: y − μ = σ·noise
		Operand<TFloat32> x = tf.math.sub(samples, network.reshape(target.mean(), patches, 1, size));
		// [R, M, l]
		Operand<TFloat32> y = tf.math.mul(noise, network.reshape(target.deviation(tf), patches, 1, size));
		Operand<TFloat32> toTargets = tf.math.mean(power(tf, squaredDistances(network, x, y), alpha),
				tf.constant(new int[] { 1, 2 })); // [R]

		// for the distances between samples, their mean becomes the origin
		Operand<TFloat32> centre = tf.stopGradient(tf.math.mean(x, tf.constant(1), Mean.keepDims(true)));
		Operand<TFloat32> centred = tf.math.sub(x, centre);
		Operand<TFloat32> offDiagonal = tf.constant(offDiagonal((int) n)); // [N, N]
		Operand<TFloat32> between = power(tf, tf.math.mul(squaredDistances(network, centred, centred), offDiagonal),
				alpha); // [R, N, N]
		Operand<TFloat32> spread = tf.math.mul(tf.sum(between, tf.constant(new int[] { 1, 2 })),
				tf.constant((float) (1.0 / (n * (n - 1))))); // [R]
		return tf.math.sub(tf.math.mul(toTargets, tf.constant(2f)), spread);
	}

	/**
	 * {@code a [R, N, l], b [R, M, l]} to {@code [R, N, M]}; 0 where it is but rounding.
	 */
	private static Operand<TFloat32> squaredDistances(Network network, Operand<TFloat32> a, Operand<TFloat32> b) {
		Ops tf = network.tf();
		long patches = a.shape().get(0);
		Operand<TFloat32> lengthsA = network.sumOfLast(tf.math.square(a)); // [R, N, 1]
		Operand<TFloat32> lengthsB = network.reshape(network.sumOfLast(tf.math.square(b)), patches, 1,
				b.shape().get(1)); // [R, 1, M]
		Operand<TFloat32> lengths = tf.math.add(lengthsA, lengthsB);
		Operand<TFloat32> products = network.batchMatMulTransposed(a, b);
		Operand<TFloat32> squares = tf.math.sub(lengths, tf.math.add(products, products));
		Operand<TBool> real = tf.math.greater(squares,
				tf.math.maximum(tf.math.mul(lengths, tf.constant(ROUNDING)), tf.constant(LEAST_SQUARE)));
		return tf.select(real, squares, tf.constant(0f));
	}

	/** {@code squares^(α/2)}, with the gradient 0 at 0. */
	private static Operand<TFloat32> power(Ops tf, Operand<TFloat32> squares, double alpha) {
		Operand<TBool> positive = tf.math.greater(squares, tf.constant(0f));
		Operand<TFloat32> safe = tf.select(positive, squares, tf.constant(1f));
		Operand<TFloat32> power = (alpha == 1) ? tf.math.sqrt(safe)
				: tf.math.exp(tf.math.mul(tf.math.log(safe), tf.constant((float) (alpha / 2))));
		return tf.select(positive, power, tf.constant(0f));
	}

	private static float[][] offDiagonal(int n) {
		float[][] mask = new float[n][n];
		for (int row = 0; row < n; row++) {
			for (int column = 0; column < n; column++) {
				mask[row][column] = (row == column) ? 0 : 1;
			}
		}
		return mask;
	}

}

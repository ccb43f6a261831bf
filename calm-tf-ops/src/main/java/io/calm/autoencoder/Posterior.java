package io.calm.autoencoder;

import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * What the encoder says of patches: independent normal distributions of their latent
 * dimensions.
 *
 * @param mean μ, {@code [R, l]}
 * @param logDeviation log σ, {@code [R, l]}
 */
public record Posterior(Operand<TFloat32> mean, Operand<TFloat32> logDeviation) {

	/**
	 * The standard deviation σ of each dimension.
	 * @param tf where to build
	 * @return {@code [R, l]}
	 */
	public Operand<TFloat32> deviation(Ops tf) {
		return tf.math.exp(this.logDeviation);
	}

	/**
	 * Samples of each patch's latent vector, {@code μ + σ·noise}.
	 * @param tf where to build
	 * @param noise standard normal, {@code [R, N, l]}
	 * @return {@code [R, N, l]}
	 */
	public Operand<TFloat32> sample(Ops tf, Operand<TFloat32> noise) {
		Operand<TInt32> samples = tf.constant(1);
		return tf.math.add(tf.expandDims(this.mean, samples),
				tf.math.mul(tf.expandDims(deviation(tf), samples), noise));
	}

	/**
	 * The divergence of each dimension from the standard normal distribution,
	 * {@code ½(μ² + σ² − 1 − 2 log σ)}.
	 * @param tf where to build
	 * @return {@code [R, l]}, in nats
	 */
	public Operand<TFloat32> kl(Ops tf) {
		Operand<TFloat32> twice = tf.math.add(this.logDeviation, this.logDeviation);
		Operand<TFloat32> sum = tf.math
			.sub(tf.math.sub(tf.math.add(tf.math.square(this.mean), tf.math.exp(twice)), tf.constant(1f)), twice);
		return tf.math.mul(sum, tf.constant(0.5f));
	}

}

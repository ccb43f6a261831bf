package io.calm.layer;

import io.calm.graph.Initializer;
import io.calm.graph.Network;
import io.calm.graph.Variable;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;

/**
 * Root-mean-square norm over the last axis: {@code x / √(mean(x²) + ε) · w}.
 */
public final class RmsNorm {

	private final Network network;

	private final Variable weight;

	private final float epsilon;

	/**
	 * Declares the norm's scale.
	 * @param network where to build it
	 * @param name the parameter's prefix
	 * @param size of the last axis
	 * @param epsilon added to the mean square
	 */
	public RmsNorm(Network network, String name, long size, double epsilon) {
		this.network = network;
		this.weight = network.variables().declare(name + ".weight", Initializer.ONES, size);
		this.epsilon = (float) epsilon;
	}

	/**
	 * Normalises each row to a mean square of 1, then scales it.
	 * @param x {@code [..., size]}
	 * @return the same shape
	 */
	public Operand<TFloat32> apply(Operand<TFloat32> x) {
		Ops tf = this.network.tf();
		Operand<TFloat32> meanSquare = this.network.meanOfLast(tf.math.square(x));
		Operand<TFloat32> scale = tf.math.rsqrt(tf.math.add(meanSquare, tf.constant(this.epsilon)));
		return tf.math.mul(tf.math.mul(x, scale), this.weight.value());
	}

}

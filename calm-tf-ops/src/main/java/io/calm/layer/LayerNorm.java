package io.calm.layer;

import io.calm.graph.Initializer;
import io.calm.graph.Network;
import io.calm.graph.Variable;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;

/**
 * Layer norm over the last axis: {@code (x − mean) / √(var + ε) · w + b}.
 */
public final class LayerNorm {

	private final Network network;

	private final Variable weight;

	private final Variable bias;

	private final double epsilon;

	/**
	 * Declares the norm's scale and bias.
	 * @param network where to build it
	 * @param name the parameters' prefix
	 * @param size of the last axis
	 * @param epsilon added to the variance
	 */
	public LayerNorm(Network network, String name, long size, double epsilon) {
		this.network = network;
		this.weight = network.variables().declare(name + ".weight", Initializer.ONES, size);
		this.bias = network.variables().declare(name + ".bias", Initializer.ZEROS, size);
		this.epsilon = epsilon;
	}

	/**
	 * Normalises each row to mean 0 and variance 1, then scales and shifts it.
	 * @param x {@code [..., size]}
	 * @return the same shape
	 */
	public Operand<TFloat32> apply(Operand<TFloat32> x) {
		Ops tf = this.network.tf();
		return tf.math.add(tf.math.mul(this.network.standardize(x, this.epsilon), this.weight.value()),
				this.bias.value());
	}

}

package io.calm.model;

import io.calm.graph.Network;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The frozen autoencoder's embedding of single tokens, scaled to a mean square of 1: what
 * is copied of a token, and what a copy is recognised by. {@code D} is the autoencoder's
 * width.
 */
final class TokenVectors {

	private static final float EPSILON = 1e-6f;

	private final Network network;

	private final Operand<TFloat32> table;

	TokenVectors(Network network, Operand<TFloat32> table) {
		this.network = network;
		this.table = network.tf().stopGradient(table);
	}

	/** The size D of a vector. */
	long size() {
		return this.table.shape().get(1);
	}

	/** Tokens of any shape, flat: {@code [tokens, D]}. */
	Operand<TFloat32> of(Operand<TInt32> tokens) {
		Ops tf = this.network.tf();
		Operand<TInt32> flat = tf.reshape(tokens, tf.constant(new long[] { -1 }));
		return scaled(tf.gather(this.table, flat, tf.constant(0)));
	}

	/** How much vectors {@code [n, D]} are like each token's, {@code [n, V]}. */
	Operand<TFloat32> likeness(Operand<TFloat32> x) {
		Ops tf = this.network.tf();
		Operand<TFloat32> products = this.network.matMulTransposed(x, scaled(this.table));
		return tf.math.mul(products, tf.constant((float) (1 / Math.sqrt(size()))));
	}

	private Operand<TFloat32> scaled(Operand<TFloat32> x) {
		Ops tf = this.network.tf();
		Operand<TFloat32> meanSquare = this.network.meanOfLast(tf.math.square(x));
		return tf.math.mul(x, tf.math.rsqrt(tf.math.add(meanSquare, tf.constant(EPSILON))));
	}

}

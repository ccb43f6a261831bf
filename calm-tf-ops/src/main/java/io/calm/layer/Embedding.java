package io.calm.layer;

import io.calm.graph.Initializer;
import io.calm.graph.Network;
import io.calm.graph.Variable;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * A vector for each token id. Looking up PAD teaches its vector nothing, as with the
 * reference's {@code padding_idx}.
 */
public final class Embedding {

	private final Network network;

	private final Variable table;

	private final int padId;

	/**
	 * Declares the table, drawn from a normal distribution.
	 * @param network where to build it
	 * @param name the parameter's prefix
	 * @param vocabularySize V
	 * @param size of a vector
	 * @param padId the id of PAD
	 * @param deviation of the first vectors
	 */
	public Embedding(Network network, String name, long vocabularySize, long size, int padId, double deviation) {
		this.network = network;
		this.table = network.variables().declare(name + ".weight", Initializer.normal(deviation), vocabularySize, size);
		this.padId = padId;
	}

	/**
	 * Looks up the vectors of tokens.
	 * @param tokens any shape
	 * @return {@code [tokens, size]}, flat
	 */
	public Operand<TFloat32> apply(Operand<TInt32> tokens) {
		Ops tf = this.network.tf();
		Operand<TInt32> flat = tf.reshape(tokens, tf.constant(new long[] { -1 }));
		Operand<TFloat32> vectors = tf.gather(this.table.value(), flat, tf.constant(0));
		Operand<TBool> pad = tf.math.equal(tf.reshape(flat, tf.constant(new long[] { -1, 1 })),
				tf.constant(this.padId));
		return tf.select(pad, tf.stopGradient(vectors), vectors);
	}

	/**
	 * The table, for what is tied to it.
	 * @return {@code [V, size]}
	 */
	public Operand<TFloat32> table() {
		return this.table.value();
	}

}

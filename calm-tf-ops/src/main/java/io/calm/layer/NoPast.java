package io.calm.layer;

import java.util.List;

import io.calm.graph.Network;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TType;

/**
 * The past of whole sequences, which is empty: all their positions are new. How many
 * sequences there are and how long they are need not be known when a graph is built.
 *
 * @param context how long a sequence can be, in positions
 * @param sequences {@code [1]}, A
 * @param positions {@code [A·Q]}
 * @param mask {@code [1, 1, Q, Q]}
 */
public record NoPast(int context, Operand<TInt32> sequences, Operand<TInt32> positions,
		Operand<TFloat32> mask) implements Past {

	/**
	 * Whole sequences of one length.
	 * @param tf where to build
	 * @param tokens {@code [A, Q·K]}
	 * @param patchSize K, tokens of a position
	 * @param context how long a sequence can be, in positions
	 * @return their past
	 */
	public static NoPast of(Ops tf, Operand<TInt32> tokens, int patchSize, int context) {
		Operand<TInt32> zero = tf.constant(0);
		Operand<TInt32> one = tf.constant(1);
		Operand<TInt32> shape = tf.shape(tokens);
		Operand<TInt32> sequences = tf.slice(shape, tf.constant(new int[] { 0 }), tf.constant(new int[] { 1 }));
		Operand<TInt32> length = tf.math.div(tf.gather(shape, one, zero), tf.constant(patchSize));
		Operand<TInt32> each = tf.range(zero, length, one); // [Q]
		Operand<TFloat32> future = tf.dtypes.cast(tf.math.greater(each, tf.expandDims(each, one)), TFloat32.class);
		Operand<TFloat32> mask = tf.math.mul(future, tf.constant(CausalAttention.MASKED));
		return new NoPast(context, sequences, tf.tile(each, sequences), tf.expandDims(tf.expandDims(mask, zero), zero));
	}

	@Override
	public boolean single() {
		return false;
	}

	@Override
	public Operand<TFloat32> remember(Network network, String name, long size, Operand<TFloat32> rows) {
		return perSequence(network.tf(), rows, Math.toIntExact(size));
	}

	@Override
	public <T extends TType> Operand<T> perSequence(Ops tf, Operand<T> x, int... shape) {
		return tf.reshape(x,
				tf.concat(List.of(this.sequences, tf.constant(new int[] { -1 }), tf.constant(shape)), tf.constant(0)));
	}

}

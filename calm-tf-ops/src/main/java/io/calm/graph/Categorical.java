package io.calm.graph;

import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;

/**
 * Draws from finite distributions, a row of weights each, by the inverse of their
 * cumulative distribution. Sums are in fp64: in fp32, thousands of unlikely outcomes in a
 * row would add nothing.
 *
 * @param cumulative {@code [R, V]}, running sums of the weights
 */
public record Categorical(Operand<TFloat64> cumulative) {

	/** The greatest number in [0, 1) that stays below 1 when it is multiplied. */
	private static final double BELOW_ONE = 1 - 1e-12;

	/**
	 * Makes a distribution of each row of weights.
	 * @param tf where to build them
	 * @param weights {@code [R, V]}, not negative; their sum need not be 1
	 * @return one for each row
	 */
	public static Categorical of(Ops tf, Operand<TFloat32> weights) {
		return new Categorical(tf.math.cumsum(tf.dtypes.cast(weights, TFloat64.class), tf.constant(1)));
	}

	/**
	 * One draw of each row.
	 * @param tf where to build it
	 * @param uniform {@code [R]}, uniform in [0, 1)
	 * @return {@code [R]}, the index of an outcome whose weight is not 0
	 */
	public Operand<TInt32> draw(Ops tf, Operand<TFloat32> uniform) {
		int outcomes = Math.toIntExact(this.cumulative.shape().get(1));
		Operand<TFloat64> total = tf.gather(this.cumulative, tf.constant(new int[] { outcomes - 1 }), tf.constant(1));
		Operand<TFloat64> share = tf.math.minimum(tf.dtypes.cast(uniform, TFloat64.class), tf.constant(BELOW_ONE));
		// [R, 1]
		Operand<TFloat64> threshold = tf.math.mul(tf.expandDims(share, tf.constant(1)), total);
		Operand<TInt32> before = tf.dtypes.cast(tf.math.lessEqual(this.cumulative, threshold), TInt32.class);
		return tf.sum(before, tf.constant(1));
	}

	/**
	 * Some draws of each row.
	 * @param tf where to build it
	 * @param rows {@code [n]}, of which distribution each is
	 * @param uniform {@code [n]}, uniform in [0, 1)
	 * @return {@code [n]}, the index of an outcome whose weight is not 0
	 */
	public Operand<TInt32> draw(Ops tf, Operand<TInt32> rows, Operand<TFloat32> uniform) {
		int outcomes = Math.toIntExact(this.cumulative.shape().get(1));
		Operand<TFloat64> total = tf.gather(this.cumulative, tf.constant(new int[] { outcomes - 1 }), tf.constant(1));
		// row r in (r, r + 1], one after the other: all draws are one binary search each
		Operand<TInt32> count = tf.size(total);
		Operand<TFloat64> before = tf.dtypes
			.cast(tf.expandDims(tf.range(tf.constant(0), count, tf.constant(1)), tf.constant(1)), TFloat64.class);
		Operand<TFloat64> sorted = tf.reshape(tf.math.add(tf.math.div(this.cumulative, total), before),
				tf.constant(new int[] { 1, -1 }));
		Operand<TFloat64> thresholds = tf.math.add(tf.dtypes.cast(rows, TFloat64.class),
				tf.dtypes.cast(uniform, TFloat64.class));
		Operand<TInt32> found = tf.reshape(tf.upperBound(sorted, tf.expandDims(thresholds, tf.constant(0))),
				tf.constant(new int[] { -1 }));
		return tf.math.sub(found, tf.math.mul(rows, tf.constant(outcomes)));
	}

}

package io.calm.graph;

import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;

/**
 * The first value of a variable.
 */
@FunctionalInterface
public interface Initializer {

	/** Begins with zeros. */
	Initializer ZEROS = (tf, seed, shape) -> tf.fill(tf.constant(shape), tf.constant(0f));

	/** Begins with ones. */
	Initializer ONES = (tf, seed, shape) -> tf.fill(tf.constant(shape), tf.constant(1f));

	/**
	 * Computes the first value of a variable.
	 * @param tf where to build it
	 * @param seed two numbers, different for every variable
	 * @param shape the variable's shape
	 * @return a value of that shape
	 */
	Operand<TFloat32> value(Ops tf, Operand<TInt64> seed, long[] shape);

	/**
	 * Normally distributed values around zero.
	 * @param deviation the standard deviation
	 * @return the initializer
	 */
	static Initializer normal(double deviation) {
		return (tf, seed, shape) -> tf.math.mul(tf.random.statelessRandomNormal(tf.constant(shape), seed),
				tf.constant((float) deviation));
	}

	/**
	 * Uniform values in (-bound, bound).
	 * @param bound the largest magnitude
	 * @return the initializer
	 */
	static Initializer uniform(double bound) {
		return (tf, seed, shape) -> tf.math.mul(
				tf.math.sub(tf.random.statelessRandomUniform(tf.constant(shape), seed), tf.constant(0.5f)),
				tf.constant((float) (2 * bound)));
	}

}

package io.calm.graph;

import java.util.concurrent.atomic.AtomicLong;

import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * The random draws of one entry point: each is a function of the fed seed and of its
 * place in the order of draws, so that a run can be repeated and resumed.
 */
public final class Draws {

	private final Ops tf;

	private final Operand<TInt64> seed;

	private final AtomicLong count;

	/**
	 * Draws from a seed.
	 * @param tf where to build
	 * @param seed {@code [2]}, fed at every call
	 */
	public Draws(Ops tf, Operand<TInt64> seed) {
		this(tf, seed, new AtomicLong());
	}

	private Draws(Ops tf, Operand<TInt64> seed, AtomicLong count) {
		this.tf = tf;
		this.seed = seed;
		this.count = count;
	}

	/**
	 * The same sequence of draws, made only after other operations have run.
	 * @param operations that run before
	 * @return draws that go on where these are
	 */
	public Draws after(Iterable<Op> operations) {
		return new Draws(this.tf.withControlDependencies(operations), this.seed, this.count);
	}

	/**
	 * Draws standard normal numbers.
	 * @param shape how many
	 * @return the draws
	 */
	public Operand<TFloat32> normal(long... shape) {
		return this.tf.random.statelessRandomNormal(this.tf.constant(shape), nextSeed());
	}

	/**
	 * Uniform values in [0, 1).
	 * @param shape how many
	 * @return the draws
	 */
	public Operand<TFloat32> uniform(long... shape) {
		return this.tf.random.statelessRandomUniform(this.tf.constant(shape), nextSeed());
	}

	/**
	 * Draws standard normal numbers, as many as a call says.
	 * @param shape {@code [rank]}, how many
	 * @return the draws
	 */
	public Operand<TFloat32> normal(Operand<TInt32> shape) {
		return this.tf.random.statelessRandomNormal(shape, nextSeed());
	}

	/**
	 * Uniform values in [0, 1), as many as a call says.
	 * @param shape {@code [rank]}, how many
	 * @return the draws
	 */
	public Operand<TFloat32> uniform(Operand<TInt32> shape) {
		return this.tf.random.statelessRandomUniform(shape, nextSeed());
	}

	/**
	 * Ones with a given probability, else zeros.
	 * @param probability of a one
	 * @param shape how many
	 * @return the draws
	 */
	public Operand<TFloat32> bernoulli(double probability, long... shape) {
		return this.tf.dtypes.cast(this.tf.math.less(uniform(shape), this.tf.constant((float) probability)),
				TFloat32.class);
	}

	private Operand<TInt64> nextSeed() {
		// the second number counts steps from 0, draws from the top: they never meet
		return this.tf.math.add(this.seed, this.tf.constant(new long[] { 0, this.count.incrementAndGet() << 48 }));
	}

}

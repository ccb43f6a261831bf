package io.calm.head;

import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;

/**
 * Follows a flow {@code dx/dt = v(x, t)} from time 0 to time 1 in equal steps.
 */
public enum Solver {

	/** The value at the beginning of a step stands for the whole step. */
	EULER(1) {
		@Override
		Operand<TFloat32> step(Ops tf, Operand<TFloat32> x, float length, Flow flow, int evaluation) {
			return along(tf, x, length, flow.velocity(x, evaluation));
		}
	},

	/**
	 * The value in the middle of a step, reached by half an Euler step, stands for it.
	 */
	MIDPOINT(2) {
		@Override
		Operand<TFloat32> step(Ops tf, Operand<TFloat32> x, float length, Flow flow, int evaluation) {
			Operand<TFloat32> middle = along(tf, x, length / 2, flow.velocity(x, evaluation));
			return along(tf, x, length, flow.velocity(middle, evaluation + 1));
		}
	};

	private final int evaluationsPerStep;

	Solver(int evaluationsPerStep) {
		this.evaluationsPerStep = evaluationsPerStep;
	}

	/** A velocity that depends on place and time. */
	@FunctionalInterface
	interface Flow {

		/**
		 * The velocity of the flow at one point and time.
		 * @param x where, {@code [n, l]}
		 * @param evaluation when: an index into the times that the solver names
		 * @return {@code [n, l]}
		 */
		Operand<TFloat32> velocity(Operand<TFloat32> x, int evaluation);

	}

	/**
	 * When the flow is evaluated, one after the other, with equal distances.
	 * @param steps from time 0 to time 1
	 * @return the times in thousandths, rounded down
	 */
	float[] times(int steps) {
		float[] times = new float[steps * this.evaluationsPerStep];
		for (int i = 0; i < times.length; i++) {
			times[i] = AdaLayerNormNetwork.TIMES * i / times.length;
		}
		return times;
	}

	/**
	 * Follows the flow.
	 * @param tf where to build
	 * @param start where it begins, {@code [n, l]}
	 * @param steps from time 0 to time 1
	 * @param flow to follow
	 * @return where it ends, {@code [n, l]}
	 */
	Operand<TFloat32> solve(Ops tf, Operand<TFloat32> start, int steps, Flow flow) {
		Operand<TFloat32> x = start;
		for (int i = 0; i < steps; i++) {
			x = step(tf, x, 1f / steps, flow, i * this.evaluationsPerStep);
		}
		return x;
	}

	abstract Operand<TFloat32> step(Ops tf, Operand<TFloat32> x, float length, Flow flow, int evaluation);

	private static Operand<TFloat32> along(Ops tf, Operand<TFloat32> x, float length, Operand<TFloat32> velocity) {
		return tf.math.add(x, tf.math.mul(velocity, tf.constant(length)));
	}

}

package io.calm.graph;

import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TNumber;

/**
 * How fast this machine multiplies large matrices: what a training step can be compared
 * with, most of whose work are products.
 */
public final class ProductSpeed {

	/** Rows and columns of the matrices. */
	private static final int SIZE = 2048;

	/** Products of a run, so that little of its time is anything else. */
	private static final int PRODUCTS = 4;

	private static final int RUNS = 3;

	private static final Map<ProgramOptions, Double> MEASURED = new ConcurrentHashMap<>();

	private ProductSpeed() {
	}

	/**
	 * Multiplies matrices of 2048 × 2048, once in a process for the same device and
	 * precision. It takes about a second on two cores.
	 * @param options device and precision
	 * @return additions and multiplications per second, of the fastest run
	 */
	public static double of(ProgramOptions options) {
		return MEASURED.computeIfAbsent(options.withFusion(false), ProductSpeed::measure);
	}

	private static double measure(ProgramOptions options) {
		try (ProgramBuilder builder = new ProgramBuilder(options)) {
			Ops tf = builder.network().tf();
			Input<TFloat32, float[]> value = builder.floats(1);
			// fed, so that nothing is computed before the run
			Operand<TFloat32> matrix = tf.broadcastTo(value.value(), tf.constant(new int[] { SIZE, SIZE }));
			Operand<TFloat32> corner = (options.precision() == Precision.BF16)
					? corner(tf, tf.dtypes.cast(matrix, TBfloat16.class)) : corner(tf, matrix);
			Fetch<float[]> result = Fetch.floats(corner);
			EntryPoint run = builder.entryPoint().fetching(result);
			try (Program program = builder.build()) {
				double least = Double.POSITIVE_INFINITY;
				for (int i = 0; i < RUNS; i++) {
					try (Call call = program.call(run).feed(value, new float[] { 1f / SIZE })) {
						long start = System.nanoTime();
						call.run();
						least = Math.min(least, (System.nanoTime() - start) / 1e9);
					}
				}
				return PRODUCTS * 2.0 * SIZE * SIZE * SIZE / least;
			}
		}
	}

	/** One number of a power of a matrix, which takes all of it. */
	private static <T extends TNumber> Operand<TFloat32> corner(Ops tf, Operand<T> matrix) {
		Operand<T> power = matrix;
		for (int i = 0; i < PRODUCTS; i++) {
			power = tf.linalg.matMul(power, matrix);
		}
		return tf.dtypes.cast(tf.slice(power, tf.constant(new int[] { 0, 0 }), tf.constant(new int[] { 1, 1 })),
				TFloat32.class);
	}

}

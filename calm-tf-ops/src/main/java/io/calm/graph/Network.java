package io.calm.graph;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Sum;
import org.tensorflow.op.linalg.MatMul;
import org.tensorflow.op.math.Mean;
import org.tensorflow.op.train.BatchMatMul;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TNumber;

/**
 * What layers are built with: the operations of a graph under construction, its
 * variables, and the precision of matrix products. Shapes are static.
 *
 * @param tf TensorFlow's operations
 * @param variables where parameters are declared
 * @param precision the number format of matrix products, fp32 or bf16
 * @param weightsKept whether weights are converted once and for all, because they do not
 * change
 * @param readers how many threads may read the weights of one product: where there are
 * few rows, reading them is most of its time, and TensorFlow has one thread do it
 * @param lowRank how the linear maps of a backbone are adapted, and nothing else learns;
 * null for a network that learns as a whole
 */
public record Network(Ops tf, Variables variables, Precision precision, boolean weightsKept, int readers,
		@Nullable LowRank lowRank) {

	/** A guess: measured were two, on two cores. */
	private static final int MOST_READERS = 4;

	/** Bytes of weights that are worth a thread. */
	private static final long WORTH_A_READER = 1 << 18;

	/**
	 * Bytes of weights in fp32 from which on TensorFlow has all its threads read them.
	 */
	private static final long READ_BY_ALL = 1 << 22;

	/**
	 * Whether a parameter of this network is one that learns.
	 * @param parameter a variable of a model that is trained
	 * @return false for what stays as it is in a low-rank adaptation
	 */
	public boolean learns(Variable parameter) {
		return this.lowRank == null || LowRank.isParameter(parameter.name());
	}

	/**
	 * The product {@code x · wᵀ} in this network's precision.
	 * @param x {@code [rows, in]}
	 * @param w {@code [out, in]}, the layout of the reference; weights
	 * @return {@code [rows, out]}
	 */
	public Operand<TFloat32> matMulTransposed(Operand<TFloat32> x, Operand<TFloat32> w) {
		if (this.precision == Precision.FP32) {
			return this.variables.isOnlyCopied(w)
					? product(x, this.variables.copy(w, parts(w.shape().asArray()), TFloat32.class))
					: product(x, List.of(w));
		}
		List<Operand<TBfloat16>> weights = this.weightsKept
				? this.variables.copy(w, parts(w.shape().asArray()), TBfloat16.class) : List.of(bfloat16(w));
		return this.tf.dtypes.cast(product(bfloat16(x), weights), TFloat32.class);
	}

	private <T extends TNumber> Operand<T> product(Operand<T> x, List<Operand<T>> w) {
		List<Operand<T>> parts = new ArrayList<>();
		w.forEach((part) -> parts.add(this.tf.linalg.matMul(x, part, MatMul.transposeB(true))));
		return (parts.size() == 1) ? parts.get(0) : this.tf.concat(parts, this.tf.constant(1));
	}

	/** In how many parts weights are multiplied, side by side. */
	private int parts(long[] shape) {
		boolean fp32 = this.precision == Precision.FP32;
		long bytes = shape[0] * shape[1] * (fp32 ? Float.BYTES : Short.BYTES);
		return (fp32 && bytes > READ_BY_ALL) ? 1
				: (int) Math.max(1, Math.min(Math.min(this.readers, MOST_READERS), bytes / WORTH_A_READER));
	}

	/**
	 * Keeps what is computed from weights that do not change, unless products in bf16
	 * keep a copy of it anyway.
	 * @param weights computed from weights
	 * @return the same values
	 */
	public Operand<TFloat32> keptIfFp32(Operand<TFloat32> weights) {
		return (this.weightsKept && this.precision == Precision.FP32) ? this.variables.keep(weights) : weights;
	}

	/**
	 * Says that weights are used in products only: where these compute with copies, the
	 * weights themselves are never in memory as a whole.
	 * @param weights of a product
	 */
	public void usedInProductsOnly(Variable weights) {
		if (this.weightsKept && (this.precision == Precision.BF16 || parts(weights.shape()) > 1)) {
			this.variables.onlyCopy(weights);
		}
	}

	/**
	 * The batched product in fp32, for the small products whose rounding matters:
	 * attention scores and distances.
	 * @param x {@code [..., rows, inner]}
	 * @param y {@code [..., columns, inner]}
	 * @return {@code x · yᵀ}, {@code [..., rows, columns]}
	 */
	public Operand<TFloat32> batchMatMulTransposed(Operand<TFloat32> x, Operand<TFloat32> y) {
		return this.tf.train.batchMatMul(x, y, TFloat32.class, BatchMatMul.adjY(true));
	}

	/**
	 * The batched product in fp32.
	 * @param x {@code [..., rows, inner]}
	 * @param y {@code [..., inner, columns]}
	 * @return {@code [..., rows, columns]}
	 */
	public Operand<TFloat32> batchMatMul(Operand<TFloat32> x, Operand<TFloat32> y) {
		return this.tf.train.batchMatMul(x, y, TFloat32.class);
	}

	/**
	 * {@code x · sigmoid(x)}.
	 * @param x any shape
	 * @return the same shape
	 */
	public Operand<TFloat32> silu(Operand<TFloat32> x) {
		return this.tf.math.mul(x, this.tf.math.sigmoid(x));
	}

	/**
	 * The same values under another shape.
	 * @param x any shape
	 * @param shape the new one; one dimension may be -1
	 * @return {@code x} in that shape
	 */
	public Operand<TFloat32> reshape(Operand<TFloat32> x, long... shape) {
		return this.tf.reshape(x, this.tf.constant(shape));
	}

	/**
	 * The columns {@code [from, from + size)} of the last axis.
	 * @param x any shape with at least one axis
	 * @param from the first column
	 * @param size how many
	 * @return the slice
	 */
	public Operand<TFloat32> columns(Operand<TFloat32> x, long from, long size) {
		int rank = x.shape().numDimensions();
		// 32-bit: TensorFlow's gradient of a slice fails for 64-bit places
		int[] begin = new int[rank];
		int[] extent = Arrays.stream(x.shape().asArray()).mapToInt(Math::toIntExact).toArray();
		begin[rank - 1] = Math.toIntExact(from);
		extent[rank - 1] = Math.toIntExact(size);
		return this.tf.slice(x, this.tf.constant(begin), this.tf.constant(extent));
	}

	/**
	 * A row, as a matrix of one row.
	 * @param x {@code [rows, n]}
	 * @param index which
	 * @return {@code [1, n]}
	 */
	public Operand<TFloat32> row(Operand<TFloat32> x, int index) {
		return this.tf.slice(x, this.tf.constant(new int[] { index, 0 }),
				this.tf.constant(new int[] { 1, Math.toIntExact(x.shape().get(1)) }));
	}

	/**
	 * The mean over the last axis, which is kept with size 1.
	 * @param x {@code [..., n]}
	 * @return {@code [..., 1]}
	 */
	public Operand<TFloat32> meanOfLast(Operand<TFloat32> x) {
		return this.tf.math.mean(x, this.tf.constant(new int[] { x.shape().numDimensions() - 1 }), Mean.keepDims(true));
	}

	/**
	 * The sum over the last axis, which is kept with size 1.
	 * @param x {@code [..., n]}
	 * @return {@code [..., 1]}
	 */
	public Operand<TFloat32> sumOfLast(Operand<TFloat32> x) {
		return this.tf.sum(x, this.tf.constant(new int[] { x.shape().numDimensions() - 1 }), Sum.keepDims(true));
	}

	/**
	 * Layer norm without weight and bias: {@code (x − mean) / √(var + ε)} over the last
	 * axis.
	 * @param x {@code [..., n]}
	 * @param epsilon added to the variance
	 * @return the same shape
	 */
	public Operand<TFloat32> standardize(Operand<TFloat32> x, double epsilon) {
		Operand<TFloat32> centred = this.tf.math.sub(x, meanOfLast(x));
		Operand<TFloat32> variance = meanOfLast(this.tf.math.square(centred));
		return this.tf.math.mul(centred,
				this.tf.math.rsqrt(this.tf.math.add(variance, this.tf.constant((float) epsilon))));
	}

	private Operand<TBfloat16> bfloat16(Operand<TFloat32> x) {
		return this.tf.dtypes.cast(x, TBfloat16.class);
	}

}

package io.calm.graph;

import org.tensorflow.Operand;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.buffer.ByteDataBuffer;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * A value of a program that a call brings back as a Java array.
 *
 * @param <A> the Java array: {@code int[]} or {@code float[]}
 */
public final class Fetch<A> {

	private final String node;

	private final int index;

	private final Conversion<A> conversion;

	private Fetch(Operand<?> operand, Conversion<A> conversion) {
		this.node = operand.asOutput().op().name();
		this.index = operand.asOutput().index();
		this.conversion = conversion;
	}

	/**
	 * Brings back fp32 values.
	 * @param operand any shape
	 * @return its values, row by row
	 */
	public static Fetch<float[]> floats(Operand<TFloat32> operand) {
		return new Fetch<>(operand, (data, size) -> {
			float[] values = new float[size];
			data.asFloats().read(values);
			return values;
		});
	}

	/**
	 * Brings an operand back as integers.
	 * @param operand any shape
	 * @return its values, row by row
	 */
	public static Fetch<int[]> ints(Operand<TInt32> operand) {
		return new Fetch<>(operand, (data, size) -> {
			int[] values = new int[size];
			data.asInts().read(values);
			return values;
		});
	}

	String node() {
		return this.node;
	}

	int index() {
		return this.index;
	}

	A array(Tensor tensor) {
		return this.conversion.array(tensor.asRawTensor().data(), Math.toIntExact(tensor.shape().size()));
	}

	private interface Conversion<A> {

		A array(ByteDataBuffer data, int size);

	}

}

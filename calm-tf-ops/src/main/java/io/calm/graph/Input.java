package io.calm.graph;

import java.util.Arrays;

import org.tensorflow.Operand;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TType;

/**
 * A place in a program that a call feeds with a Java array.
 *
 * @param <T> the TensorFlow type inside the graph
 * @param <A> the Java array: {@code int[]}, {@code long[]} or {@code float[]}
 */
public final class Input<T extends TType, A> {

	private final Placeholder<T> placeholder;

	/** Kept as text: the graph it was built in does not outlive the building. */
	private final String node;

	private final Conversion<A> conversion;

	private Input(Placeholder<T> placeholder, Conversion<A> conversion) {
		this.placeholder = placeholder;
		this.node = placeholder.op().name();
		this.conversion = conversion;
	}

	static Input<TInt32, int[]> ints(Ops tf, long... shape) {
		return new Input<>(tf.placeholder(TInt32.class, Placeholder.shape(Shape.of(shape))),
				(array) -> TInt32.tensorOf(shapeOf(array.length, shape), DataBuffers.of(array)));
	}

	static Input<TInt64, long[]> longs(Ops tf, long... shape) {
		Shape fixed = Shape.of(shape);
		return new Input<>(tf.placeholder(TInt64.class, Placeholder.shape(fixed)),
				(array) -> TInt64.tensorOf(fixed, DataBuffers.of(array)));
	}

	static Input<TFloat32, float[]> floats(Ops tf, long... shape) {
		return new Input<>(tf.placeholder(TFloat32.class, Placeholder.shape(Shape.of(shape))),
				(array) -> TFloat32.tensorOf(shapeOf(array.length, shape), DataBuffers.of(array)));
	}

	/** The first dimension may be -1: as many rows as are fed. */
	private static Shape shapeOf(int length, long... shape) {
		if (shape.length == 0 || shape[0] >= 0) {
			return Shape.of(shape);
		}
		long[] fed = shape.clone();
		fed[0] = length / Arrays.stream(shape).skip(1).reduce(1, Math::multiplyExact);
		return Shape.of(fed);
	}

	/**
	 * What the graph computes with.
	 * @return the fed value
	 */
	public Operand<T> value() {
		return this.placeholder;
	}

	String node() {
		return this.node;
	}

	Tensor tensor(A array) {
		return this.conversion.tensor(array);
	}

	private interface Conversion<A> {

		Tensor tensor(A array);

	}

}

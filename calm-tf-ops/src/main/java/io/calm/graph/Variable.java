package io.calm.graph;

import java.util.Arrays;

import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TType;

/**
 * A resource variable of a program: what stays between its calls.
 *
 * @param name its name; a parameter has the reference implementation's name
 * @param shape its shape; matrices are {@code [out, in]}
 * @param initializer its first value
 * @param handle the resource
 * @param value one read of it, shared by all who compute with it
 */
public record Variable(String name, long[] shape, Initializer initializer, Operand<? extends TType> handle,
		Operand<TFloat32> value) {

	/**
	 * The number of its values.
	 * @return the product of the shape's dimensions
	 */
	public long size() {
		return Arrays.stream(this.shape).reduce(1, Math::multiplyExact);
	}

	/**
	 * A variable is itself only: its parts belong to a graph that may be closed by now.
	 */
	@Override
	public boolean equals(@Nullable Object other) {
		return this == other;
	}

	@Override
	public int hashCode() {
		return this.name.hashCode();
	}

}

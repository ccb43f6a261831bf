package io.calm.checkpoint;

import java.util.Arrays;
import java.util.List;

/**
 * What a file says of one tensor.
 *
 * @param name its name, such as {@code transformer.norm.weight}
 * @param type the type of its elements in the file
 * @param shape its dimensions, outermost first; empty for a scalar
 */
public record TensorEntry(String name, ElementType type, List<Long> shape) {

	/** PyTorch has the same limit. */
	static final int MOST_DIMENSIONS = 64;

	/**
	 * Checks the shape.
	 * @throws IllegalArgumentException if a dimension is negative or the tensor has more
	 * bytes than a {@code long} counts
	 */
	public TensorEntry {
		shape = List.copyOf(shape);
		if (bytes(type, shape) < 0) {
			throw new IllegalArgumentException("tensor " + name + " cannot have the shape " + shape);
		}
	}

	/**
	 * An entry from its dimensions.
	 * @param name the tensor's name
	 * @param type the type of its elements in the file
	 * @param shape its dimensions, outermost first; none for a scalar
	 * @return the entry
	 */
	public static TensorEntry of(String name, ElementType type, long... shape) {
		return new TensorEntry(name, type, Arrays.stream(shape).boxed().toList());
	}

	/**
	 * The number of elements: the product of the dimensions.
	 * @return the number of elements, 1 for a scalar
	 */
	public long elements() {
		return bytes() / this.type.bytes();
	}

	long bytes() {
		return bytes(this.type, this.shape);
	}

	/**
	 * The size of a tensor whose shape nobody has checked yet.
	 * @return the size in bytes, or -1 where there can be no such tensor
	 */
	static long bytes(ElementType type, List<Long> shape) {
		long bytes = type.bytes();
		for (long dimension : shape) {
			if (dimension < 0 || (dimension > 0 && bytes > Long.MAX_VALUE / dimension)) {
				return -1;
			}
			bytes *= dimension;
		}
		return bytes;
	}

}

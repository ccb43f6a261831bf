package io.calm.layer;

import java.util.List;

import io.calm.graph.Network;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.NdArrays;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * Rotary position embedding (Su et al., arXiv 2104.09864) in the <em>rotate-half</em>
 * convention of Llama: the pair of feature {@code i} is feature {@code i + size / 2}.
 *
 * @param cosine {@code [positions, size]}
 * @param sine {@code [positions, size]}
 */
public record RotaryEmbedding(Operand<TFloat32> cosine, Operand<TFloat32> sine) {

	/**
	 * The tables of the positions {@code 0 … positions − 1}.
	 * @param tf where to build them
	 * @param positions how many
	 * @param size features of a head, even
	 * @param theta the base of the wavelengths
	 * @return the tables
	 */
	public static RotaryEmbedding table(Ops tf, int positions, int size, double theta) {
		return table(tf, 0, positions, size, theta);
	}

	/**
	 * The tables of the positions {@code first … first + positions − 1}.
	 * @param tf where to build them
	 * @param first the first of them
	 * @param positions how many
	 * @param size features of a head, even
	 * @param theta the base of the wavelengths
	 * @return the tables
	 */
	public static RotaryEmbedding table(Ops tf, int first, int positions, int size, double theta) {
		float[] cosine = new float[positions * size];
		float[] sine = new float[positions * size];
		for (int position = 0; position < positions; position++) {
			for (int i = 0; i < size; i++) {
				double angle = (first + position) * Math.pow(theta, -2.0 * (i % (size / 2)) / size);
				cosine[position * size + i] = (float) Math.cos(angle);
				sine[position * size + i] = (float) Math.sin(angle);
			}
		}
		return new RotaryEmbedding(constant(tf, cosine, positions, size), constant(tf, sine, positions, size));
	}

	/**
	 * The rows of some positions.
	 * @param tf where to build
	 * @param positions {@code [n]}
	 * @return the tables {@code [n, 1, size]}, to be broadcast over heads
	 */
	public RotaryEmbedding at(Ops tf, Operand<TInt32> positions) {
		Operand<TInt32> heads = tf.constant(1);
		return new RotaryEmbedding(tf.expandDims(tf.gather(this.cosine, positions, tf.constant(0)), heads),
				tf.expandDims(tf.gather(this.sine, positions, tf.constant(0)), heads));
	}

	/**
	 * Rotates queries or keys.
	 * @param network where to build
	 * @param x {@code [..., size]}; the tables must broadcast to it
	 * @return the same shape
	 */
	public Operand<TFloat32> rotate(Network network, Operand<TFloat32> x) {
		Ops tf = network.tf();
		int axis = x.shape().numDimensions() - 1;
		long half = x.shape().get(axis) / 2;
		Operand<TFloat32> first = network.columns(x, 0, half);
		Operand<TFloat32> second = network.columns(x, half, half);
		Operand<TFloat32> turned = tf.concat(List.of(tf.math.neg(second), first), tf.constant(axis));
		return tf.math.add(tf.math.mul(x, this.cosine), tf.math.mul(turned, this.sine));
	}

	private static Operand<TFloat32> constant(Ops tf, float[] values, long... shape) {
		return tf.constant(NdArrays.wrap(Shape.of(shape), DataBuffers.of(values)));
	}

}

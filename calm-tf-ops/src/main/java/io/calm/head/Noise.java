package io.calm.head;

import java.util.random.RandomGenerator;

import io.calm.graph.Draws;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The noise that a head turns into one latent vector: independent numbers of one
 * distribution. A head never draws it; whoever calls it does.
 *
 * @param distribution of each number
 * @param size how many numbers for one draw
 */
public record Noise(Distribution distribution, int size) {

	/** A distribution of noise. */
	public enum Distribution {

		/** Uniform in [0, 1). */
		UNIFORM,
		/** Standard normal. */
		NORMAL

	}

	/**
	 * Noise drawn inside a program.
	 * @param draws the source of random numbers
	 * @param count n, for how many latent vectors
	 * @return {@code [n, size]}
	 */
	public Operand<TFloat32> draw(Draws draws, long count) {
		return switch (this.distribution) {
			case UNIFORM -> draws.uniform(count, this.size);
			case NORMAL -> draws.normal(count, this.size);
		};
	}

	/**
	 * Noise drawn inside a program, as much as a call says.
	 * @param draws the source of random numbers
	 * @param shape {@code [2]}, whose second number is {@link #size()}
	 * @return {@code [n, size]}
	 */
	public Operand<TFloat32> draw(Draws draws, Operand<TInt32> shape) {
		return switch (this.distribution) {
			case UNIFORM -> draws.uniform(shape);
			case NORMAL -> draws.normal(shape);
		};
	}

	/**
	 * Noise drawn outside of a program, to be fed.
	 * @param random the source of random numbers
	 * @param count n, for how many latent vectors
	 * @return {@code [n, size]}, row by row
	 */
	public float[] draw(RandomGenerator random, int count) {
		float[] noise = new float[Math.multiplyExact(count, this.size)];
		for (int i = 0; i < noise.length; i++) {
			noise[i] = switch (this.distribution) {
				case UNIFORM -> random.nextFloat();
				case NORMAL -> (float) random.nextGaussian();
			};
		}
		return noise;
	}

	/**
	 * For how many latent vectors some noise is enough.
	 * @param noise {@code [n, size]}, row by row
	 * @return n
	 */
	public int count(float[] noise) {
		return noise.length / this.size;
	}

}

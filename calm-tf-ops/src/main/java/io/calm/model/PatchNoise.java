package io.calm.model;

import java.util.List;
import java.util.random.RandomGenerator;

import io.calm.graph.Draws;
import io.calm.graph.Network;
import io.calm.head.Noise;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The random numbers that one draw of a patch takes: a uniform one for each lead token,
 * and behind them the noise of the generative head.
 *
 * @param leadTokens A
 * @param head of the head
 */
public record PatchNoise(int leadTokens, Noise head) {

	/**
	 * Numbers for one draw.
	 * @return how many
	 */
	public int size() {
		return this.leadTokens + this.head.size();
	}

	/**
	 * Noise drawn outside of a program, to be fed.
	 * @param random the source of random numbers
	 * @param count n, for how many patches
	 * @return {@code [n, size]}, row by row
	 */
	public float[] draw(RandomGenerator random, int count) {
		float[] noise = new float[Math.multiplyExact(count, size())];
		for (int draw = 0; draw < count; draw++) {
			int from = draw * size();
			for (int i = 0; i < this.leadTokens; i++) {
				noise[from + i] = random.nextFloat();
			}
			System.arraycopy(this.head.draw(random, 1), 0, noise, from + this.leadTokens, this.head.size());
		}
		return noise;
	}

	/**
	 * For how many patches some noise is enough.
	 * @param noise {@code [n, size]}, row by row
	 * @return n
	 */
	public int count(float[] noise) {
		return noise.length / size();
	}

	/** Noise drawn inside a program, {@code [n, size]}. */
	Operand<TFloat32> draw(Network network, Draws draws, long count) {
		Operand<TFloat32> ofHead = this.head.draw(draws, count);
		return (this.leadTokens == 0) ? ofHead
				: network.tf().concat(List.of(draws.uniform(count, this.leadTokens), ofHead), network.tf().constant(1));
	}

	/**
	 * Noise drawn inside a program, as much as a call says.
	 * @param network where to build
	 * @param draws the source of random numbers
	 * @param count a scalar, for how many patches
	 * @return {@code [count, size]}
	 */
	public Operand<TFloat32> draw(Network network, Draws draws, Operand<TInt32> count) {
		Ops tf = network.tf();
		Operand<TFloat32> ofHead = this.head.draw(draws, tf.stack(List.of(count, tf.constant(this.head.size()))));
		return (this.leadTokens == 0) ? ofHead : tf.concat(
				List.of(draws.uniform(tf.stack(List.of(count, tf.constant(this.leadTokens)))), ofHead), tf.constant(1));
	}

	/** The part of the lead tokens, {@code [n, A]}. */
	Operand<TFloat32> ofLeadTokens(Network network, Operand<TFloat32> noise) {
		return network.columns(noise, 0, this.leadTokens);
	}

	/** The part of the head. */
	Operand<TFloat32> ofHead(Network network, Operand<TFloat32> noise) {
		return (this.leadTokens == 0) ? noise : network.columns(noise, this.leadTokens, this.head.size());
	}

}

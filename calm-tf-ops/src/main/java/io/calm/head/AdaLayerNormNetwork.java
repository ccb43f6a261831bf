package io.calm.head;

import java.util.List;
import java.util.function.UnaryOperator;
import java.util.stream.IntStream;

import io.calm.graph.Initializer;
import io.calm.graph.Network;
import io.calm.layer.LayerNorm;
import io.calm.layer.Linear;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The network of the flow-matching and the diffusion head: a residual MLP whose layer
 * norms take shift, scale and gate from time and hidden state (adaptive layer norm,
 * Peebles and Xie, arXiv 2212.09748, as an MLP in Li et al., arXiv 2406.11838). It begins
 * as the zero map: modulations and output layer are zero.
 *
 * <p>
 * Shift, scale and gate depend on the condition alone. Where many samples share one, as
 * all samples of a patch do when they are drawn, they are computed once for all of them.
 */
final class AdaLayerNormNetwork {

	/** Time is a number of thousandths, from 0 to 999. */
	static final int TIMES = 1000;

	/** The sinusoidal embedding of a time: so many numbers, half of them cosines. */
	private static final int FREQUENCIES = 256;

	private static final double LONGEST_PERIOD = 10_000;

	private static final double EPSILON = 1e-6;

	private final Network network;

	private final int width;

	private final Linear timeHidden;

	private final Linear timeOutput;

	private final Linear hiddenEmbedding;

	private final Linear input;

	private final List<Block> blocks;

	private final Linear finalModulation;

	private final Linear output;

	/**
	 * Declares the network.
	 * @param network where to build it
	 * @param name the parameters' prefix
	 * @param width d
	 * @param inputSize l
	 * @param outputSize numbers it says of a point
	 * @param blocks how many residual blocks
	 */
	AdaLayerNormNetwork(Network network, String name, int width, int inputSize, int outputSize, int blocks) {
		this.network = network;
		this.width = width;
		this.timeHidden = Linear.withBias(network, name + ".time_embed.mlp.0", FREQUENCIES, width);
		this.timeOutput = Linear.withBias(network, name + ".time_embed.mlp.2", width, width);
		this.hiddenEmbedding = Linear.withBias(network, name + ".cond_embed", width, width);
		this.input = Linear.withBias(network, name + ".input_proj", inputSize, width);
		this.blocks = IntStream.range(0, blocks)
			.mapToObj((i) -> new Block(network, name + ".res_blocks." + i, width))
			.toList();
		this.finalModulation = Linear.withBias(network, name + ".final_layer.adaLN_modulation.1", width, 2L * width,
				Initializer.ZEROS);
		this.output = Linear.withBias(network, name + ".final_layer.linear", width, outputSize, Initializer.ZEROS);
	}

	/** Hidden states {@code [R, d]} as the first half of a condition {@code [R, d]}. */
	Operand<TFloat32> ofHidden(Operand<TFloat32> hidden) {
		return this.hiddenEmbedding.apply(hidden);
	}

	/** Times {@code [m]} in thousandths as the other half {@code [m, d]}. */
	Operand<TFloat32> ofTime(Operand<TFloat32> thousandths) {
		Ops tf = this.network.tf();
		int half = FREQUENCIES / 2;
		float[] frequencies = new float[half];
		for (int i = 0; i < half; i++) {
			// the exponent in single precision: its rounding alone turns
			// the waves by 1e-4, and the reference's models were trained with it
			float exponent = (float) -Math.log(LONGEST_PERIOD) * i / half;
			frequencies[i] = (float) Math.exp(exponent);
		}
		Operand<TFloat32> angles = tf.math.mul(this.network.reshape(thousandths, -1, 1), tf.constant(frequencies));
		Operand<TFloat32> waves = tf.concat(List.of(tf.math.cos(angles), tf.math.sin(angles)), tf.constant(1));
		return this.timeOutput.apply(this.network.silu(this.timeHidden.apply(waves)));
	}

	/**
	 * One pass.
	 * @param x points {@code [n, l]}
	 * @param condition the sum of both halves, {@code [m, d]}
	 * @param toPoints what is known of conditions {@code [m, ·]} to their points
	 * {@code [n, ·]}
	 * @return {@code [n, output]}
	 */
	Operand<TFloat32> apply(Operand<TFloat32> x, Operand<TFloat32> condition,
			UnaryOperator<Operand<TFloat32>> toPoints) {
		Operand<TFloat32> c = this.network.silu(condition);
		Operand<TFloat32> state = this.input.apply(x); // [n, d]
		for (Block block : this.blocks) {
			state = block.apply(state, toPoints.apply(block.modulation.apply(c)));
		}
		Operand<TFloat32> modulation = toPoints.apply(this.finalModulation.apply(c)); // [n,2d]
		return this.output.apply(modulated(this.network, this.network.standardize(state, EPSILON),
				this.network.columns(modulation, 0, this.width),
				this.network.columns(modulation, this.width, this.width)));
	}

	/** Each row of {@code hidden [R, d]} as often as it has samples: {@code [R·N]}. */
	Operand<TInt32> owners(Operand<TFloat32> hidden, int samples) {
		int rows = (int) hidden.shape().get(0);
		return this.network.tf()
			.constant(IntStream.range(0, rows * samples).map((sample) -> sample / samples).toArray());
	}

	/** {@code x·(1 + scale) + shift}, all {@code [n, d]}. */
	private static Operand<TFloat32> modulated(Network network, Operand<TFloat32> x, Operand<TFloat32> shift,
			Operand<TFloat32> scale) {
		Ops tf = network.tf();
		return tf.math.add(tf.math.mul(x, tf.math.add(scale, tf.constant(1f))), shift);
	}

	/**
	 * A residual block: {@code x + gate·W2·SiLU(W0·(LN(x)·(1 + scale) + shift))}.
	 */
	private static final class Block {

		private final Network network;

		private final int width;

		private final LayerNorm norm;

		private final Linear first;

		private final Linear second;

		private final Linear modulation;

		Block(Network network, String name, int width) {
			this.network = network;
			this.width = width;
			this.norm = new LayerNorm(network, name + ".in_ln", width, EPSILON);
			this.first = Linear.withBias(network, name + ".mlp.0", width, width);
			this.second = Linear.withBias(network, name + ".mlp.2", width, width);
			this.modulation = Linear.withBias(network, name + ".adaLN_modulation.1", width, 3L * width,
					Initializer.ZEROS);
		}

		/** {@code x [n, d]} and {@code [shift ; scale ; gate] [n, 3d]}. */
		Operand<TFloat32> apply(Operand<TFloat32> x, Operand<TFloat32> shiftScaleGate) {
			Ops tf = this.network.tf();
			Operand<TFloat32> shift = this.network.columns(shiftScaleGate, 0, this.width);
			Operand<TFloat32> scale = this.network.columns(shiftScaleGate, this.width, this.width);
			Operand<TFloat32> gate = this.network.columns(shiftScaleGate, 2L * this.width, this.width);
			Operand<TFloat32> u = this.first.apply(modulated(this.network, this.norm.apply(x), shift, scale));
			return tf.math.add(x, tf.math.mul(gate, this.second.apply(this.network.silu(u))));
		}

	}

}

package io.calm.head;

import java.util.List;
import java.util.function.BinaryOperator;
import java.util.stream.IntStream;

import io.calm.autoencoder.Posterior;
import io.calm.graph.Draws;
import io.calm.graph.Initializer;
import io.calm.graph.Network;
import io.calm.layer.LayerNorm;
import io.calm.layer.Linear;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The energy head (section 4.2 of the paper): one pass of a residual MLP turns uniform
 * noise into a sample, given the hidden state. The output layer begins at zero.
 *
 * <p>
 * Everything that depends on the hidden state alone is computed once per patch, not once
 * per sample: the first matrix of a block, which sees the concatenation {@code [x ; h]},
 * is split into {@code Wx·x + Wh·h}.
 */
public final class EnergyHead implements GenerativeHead {

	private static final double EPSILON = 1e-6;

	private final Network network;

	private final EnergyConfig config;

	private final Linear noiseEmbedding;

	private final LayerNorm noiseNorm;

	private final Linear hiddenEmbedding;

	private final LayerNorm hiddenNorm;

	private final List<Block> blocks;

	private final LayerNorm finalNorm;

	private final Linear finalHidden;

	private final Linear finalOutput;

	/**
	 * Declares the parameters of an energy head.
	 * @param network where to build it
	 * @param name the parameters' prefix
	 * @param config its shape
	 */
	public EnergyHead(Network network, String name, EnergyConfig config) {
		this.network = network;
		this.config = config;
		int width = config.hiddenSize();
		this.noiseEmbedding = Linear.withBias(network, name + ".noise_embd", config.noiseSize(), width);
		this.noiseNorm = new LayerNorm(network, name + ".norm_noise", width, EPSILON);
		this.hiddenEmbedding = Linear.withBias(network, name + ".hidden_embd", width, width);
		this.hiddenNorm = new LayerNorm(network, name + ".norm_hidden", width, EPSILON);
		this.blocks = IntStream.range(0, config.blocks())
			.mapToObj((i) -> new Block(network, name + ".mlp_blocks." + i, width))
			.toList();
		this.finalNorm = new LayerNorm(network, name + ".final_layer.in_ln", width, EPSILON);
		this.finalHidden = Linear.withBias(network, name + ".final_layer.linears.0", width, width);
		this.finalOutput = Linear.withBias(network, name + ".final_layer.linears.2", width, config.latentSize(),
				Initializer.ZEROS);
	}

	@Override
	public Operand<TFloat32> loss(Operand<TFloat32> hidden, Posterior target, Draws draws) {
		long patches = hidden.shape().get(0);
		Operand<TFloat32> samples = sample(hidden, this.config.samples(), draws);
		Operand<TFloat32> noise = draws.normal(patches, this.config.targets(), this.config.latentSize());
		return EnergyLoss.of(this.network,
				this.network.reshape(samples, patches, this.config.samples(), this.config.latentSize()), target, noise,
				this.config.alpha());
	}

	@Override
	public Operand<TFloat32> sample(Operand<TFloat32> hidden, int samples, Operand<TFloat32> uniform) {
		long patches = hidden.shape().get(0);
		long width = this.config.hiddenSize();
		return sample(hidden, uniform,
				(perSample, perPatch) -> this.network
					.reshape(this.network.tf().math.add(this.network.reshape(perSample, patches, samples, width),
							this.network.reshape(perPatch, patches, 1, width)), patches * samples, width));
	}

	@Override
	public Operand<TFloat32> sample(Operand<TFloat32> hidden, Operand<TInt32> owners, Operand<TFloat32> uniform) {
		Ops tf = this.network.tf();
		return sample(hidden, uniform,
				(perSample, perPatch) -> tf.math.add(perSample, tf.gather(perPatch, owners, tf.constant(0))));
	}

	@Override
	public EnergyConfig config() {
		return this.config;
	}

	/**
	 * One pass of the network.
	 * @param plus adds what is known of patches {@code [R, d]} to their samples
	 * {@code [n, d]}
	 */
	private Operand<TFloat32> sample(Operand<TFloat32> hidden, Operand<TFloat32> uniform,
			BinaryOperator<Operand<TFloat32>> plus) {
		Ops tf = this.network.tf();
		Operand<TFloat32> noise = tf.math.sub(uniform, tf.constant(0.5f));
		// [n, d]
		Operand<TFloat32> x = this.noiseNorm.apply(this.noiseEmbedding.apply(noise));
		// [R, d]
		Operand<TFloat32> h = this.hiddenNorm.apply(this.hiddenEmbedding.apply(hidden));
		for (Block block : this.blocks) {
			x = block.apply(x, h, plus);
		}
		Operand<TFloat32> u = this.network.silu(this.finalHidden.apply(this.finalNorm.apply(x)));
		return this.finalOutput.apply(u);
	}

	/**
	 * A residual block: {@code x + down(SiLU(g)·v)} with
	 * {@code [g ; v] = W4·SiLU(W2·SiLU(W0·[LN(x) ; h]))}.
	 */
	private static final class Block {

		private final Network network;

		private final int width;

		private final LayerNorm norm;

		private final Linear first;

		private final Linear second;

		private final Linear third;

		private final Linear down;

		Block(Network network, String name, int width) {
			this.network = network;
			this.width = width;
			this.norm = new LayerNorm(network, name + ".in_ln", width, EPSILON);
			this.first = Linear.withBias(network, name + ".linears.0", 2L * width, width);
			this.second = Linear.withBias(network, name + ".linears.2", width, width);
			this.third = Linear.withBias(network, name + ".linears.4", width, 2L * width);
			this.down = Linear.withBias(network, name + ".down_proj", width, width);
		}

		/** {@code x [n, d]} and {@code h [R, d]} to {@code [n, d]}. */
		Operand<TFloat32> apply(Operand<TFloat32> x, Operand<TFloat32> h, BinaryOperator<Operand<TFloat32>> plus) {
			Ops tf = this.network.tf();
			// W0·[LN(x) ; h] = Wx·LN(x) + (Wh·h + b), the latter once per patch
			Operand<TFloat32> perSample = this.first.applyColumns(this.norm.apply(x), 0, this.width);
			Operand<TFloat32> perPatch = this.first.biased(this.first.applyColumns(h, this.width, this.width));
			Operand<TFloat32> u = this.network.silu(plus.apply(perSample, perPatch));
			u = this.third.apply(this.network.silu(this.second.apply(u))); // [n, 2d]
			Operand<TFloat32> gate = this.network.silu(this.network.columns(u, 0, this.width));
			Operand<TFloat32> gated = tf.math.mul(gate, this.network.columns(u, this.width, this.width));
			return tf.math.add(x, this.down.apply(gated));
		}

	}

}

package io.calm.model;

import java.util.ArrayList;
import java.util.List;

import io.calm.graph.Network;
import io.calm.layer.AttentionPaths;
import io.calm.layer.CausalAttention;
import io.calm.layer.Past;
import io.calm.layer.RmsNorm;
import io.calm.layer.RotaryEmbedding;
import io.calm.layer.SwiGlu;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The Llama decoder: blocks of causal attention and gated feed-forward networks, each
 * behind a norm and beside a residual path.
 */
final class Backbone {

	private final Network network;

	private final String name;

	private final BackboneConfig config;

	private final List<Block> blocks = new ArrayList<>();

	private final RmsNorm norm;

	Backbone(Network network, String name, BackboneConfig config) {
		this.network = network;
		this.name = name;
		this.config = config;
		for (int i = 0; i < config.layers(); i++) {
			this.blocks.add(new Block(network, name + ".layers." + i, config));
		}
		this.norm = new RmsNorm(network, name + ".norm", config.hiddenSize(), config.normEpsilon());
	}

	/**
	 * Whole sequences, layer by layer: the blocks, then the norm.
	 * @param documents {@code [B, P]}: positions of different documents do not see each
	 * other
	 * @return functions from {@code [B·P, d]} to {@code [B·P, d]}; the last one gives the
	 * hidden states
	 */
	List<BackboneLayer> layers(Operand<TInt32> documents) {
		Ops tf = this.network.tf();
		RotaryEmbedding rotary = rotary(0, documents);
		Operand<TFloat32> mask = CausalAttention.documentMask(tf, documents);
		List<BackboneLayer> layers = new ArrayList<>();
		for (int i = 0; i < this.blocks.size(); i++) {
			Block block = this.blocks.get(i);
			layers.add(new BackboneLayer(this.name + ".layers." + i + ".", (x) -> {
				Operand<TFloat32> mixed = block.attention().apply(block.attentionNorm().apply(x), rotary, mask);
				return block.feedForward(tf, tf.math.add(x, mixed));
			}));
		}
		layers.add(new BackboneLayer(this.name + ".norm.", this.norm::apply));
		return layers;
	}

	/**
	 * Whole sequences, each position of which can be continued on a path of its own.
	 * @param x the embeddings {@code [B·P, d]}
	 * @param documents {@code [B, P]}
	 * @param paths takes what each layer remembers
	 * @return the hidden states {@code [B·P, d]}
	 */
	Operand<TFloat32> begin(Operand<TFloat32> x, Operand<TInt32> documents, List<AttentionPaths> paths) {
		Operand<TFloat32> mask = CausalAttention.documentMask(this.network.tf(), documents);
		RotaryEmbedding rotary = rotary(0, documents);
		this.blocks.forEach((block) -> paths.add(new AttentionPaths(mask)));
		return through(x, (layer, input) -> this.blocks.get(layer).attention().begin(input, rotary, paths.get(layer)));
	}

	/**
	 * One more element behind each position.
	 * @param x the embeddings {@code [B·P, d]}
	 * @param documents {@code [B, P]}
	 * @param step counted from 1
	 * @param paths that have begun
	 * @return the hidden states {@code [B·P, d]}
	 */
	Operand<TFloat32> proceed(Operand<TFloat32> x, Operand<TInt32> documents, int step, List<AttentionPaths> paths) {
		RotaryEmbedding rotary = rotary(step, documents);
		return through(x,
				(layer, input) -> this.blocks.get(layer).attention().proceed(input, rotary, paths.get(layer)));
	}

	private RotaryEmbedding rotary(int first, Operand<TInt32> documents) {
		return RotaryEmbedding.table(this.network.tf(), first, (int) documents.shape().get(1), this.config.headSize(),
				this.config.ropeTheta());
	}

	/** The blocks, with attention of some kind, then the norm. */
	private Operand<TFloat32> through(Operand<TFloat32> x, Attention attention) {
		Ops tf = this.network.tf();
		Operand<TFloat32> result = x;
		for (int i = 0; i < this.blocks.size(); i++) {
			Block block = this.blocks.get(i);
			Operand<TFloat32> mixed = attention.apply(i, block.attentionNorm().apply(result));
			result = block.feedForward(tf, tf.math.add(result, mixed));
		}
		return this.norm.apply(result);
	}

	/** The attention of a layer. */
	private interface Attention {

		Operand<TFloat32> apply(int layer, Operand<TFloat32> x);

	}

	/**
	 * New positions of some sequences.
	 * @param x the embeddings {@code [A·Q, d]}
	 * @param past what stands before them
	 * @return the hidden states {@code [A·Q, d]}
	 */
	Operand<TFloat32> apply(Operand<TFloat32> x, Past past) {
		Ops tf = this.network.tf();
		RotaryEmbedding rotary = RotaryEmbedding
			.table(tf, past.context(), this.config.headSize(), this.config.ropeTheta())
			.at(tf, past.positions());
		return through(x, (layer, input) -> this.blocks.get(layer).attention().apply(input, rotary, past, layer));
	}

	private record Block(RmsNorm attentionNorm, CausalAttention attention, RmsNorm mlpNorm, SwiGlu mlp) {

		Block(Network network, String name, BackboneConfig config) {
			this(new RmsNorm(network, name + ".input_layernorm", config.hiddenSize(), config.normEpsilon()),
					new CausalAttention(network, name + ".self_attn", config.hiddenSize(), config.heads(),
							config.keyHeads(), config.headSize(), config.initializerRange()),
					new RmsNorm(network, name + ".post_attention_layernorm", config.hiddenSize(), config.normEpsilon()),
					new SwiGlu(network, name + ".mlp", config.hiddenSize(), config.intermediateSize(),
							config.initializerRange()));
		}

		Operand<TFloat32> feedForward(Ops tf, Operand<TFloat32> x) {
			return tf.math.add(x, this.mlp.apply(this.mlpNorm.apply(x)));
		}

	}

}

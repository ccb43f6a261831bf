package io.calm.model;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;

import io.calm.graph.CachePlaces;
import io.calm.graph.CausalAttention;
import io.calm.graph.Initializer;
import io.calm.graph.Network;
import io.calm.graph.RmsNorm;
import io.calm.graph.RotaryEmbedding;
import io.calm.graph.SwiGlu;
import io.calm.graph.Variable;
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
	List<CalmNetwork.Layer> layers(Operand<TInt32> documents) {
		Ops tf = this.network.tf();
		RotaryEmbedding rotary = RotaryEmbedding.table(tf, (int) documents.shape().get(1), this.config.headSize(),
				this.config.ropeTheta());
		Operand<TFloat32> mask = CausalAttention.documentMask(tf, documents);
		List<CalmNetwork.Layer> layers = new ArrayList<>();
		for (int i = 0; i < this.blocks.size(); i++) {
			Block block = this.blocks.get(i);
			layers.add(new CalmNetwork.Layer(this.name + ".layers." + i + ".", (x) -> {
				Operand<TFloat32> mixed = block.attention().apply(block.attentionNorm().apply(x), rotary, mask);
				return block.feedForward(tf, tf.math.add(x, mixed));
			}));
		}
		layers.add(new CalmNetwork.Layer(this.name + ".norm.", this.norm::apply));
		return layers;
	}

	/**
	 * Whole sequences.
	 * @param x the embeddings {@code [B·P, d]}
	 * @param documents {@code [B, P]}
	 * @return the hidden states {@code [B·P, d]}
	 */
	Operand<TFloat32> apply(Operand<TFloat32> x, Operand<TInt32> documents) {
		Operand<TFloat32> result = x;
		for (CalmNetwork.Layer layer : layers(documents)) {
			result = layer.function().apply(result);
		}
		return result;
	}

	/**
	 * Continuations of whole sequences from each of their positions.
	 * @param documents {@code [B, P]}
	 * @param embed from {@code tokens [B·P, …]} to {@code [B·P, d]}
	 * @return to be told the sequences and what comes after their positions
	 */
	Rollout rollout(Operand<TInt32> documents, Function<Operand<TInt32>, Operand<TFloat32>> embed) {
		Ops tf = this.network.tf();
		int positions = (int) documents.shape().get(1);
		Operand<TFloat32> mask = CausalAttention.documentMask(tf, documents);
		List<List<CausalAttention.Memory>> past = new ArrayList<>();
		this.blocks.forEach((block) -> past.add(new ArrayList<>()));
		return new Rollout((tokens, appended) -> {
			RotaryEmbedding rotary = RotaryEmbedding.table(tf, appended, positions, this.config.headSize(),
					this.config.ropeTheta());
			Operand<TFloat32> x = embed.apply(tokens);
			for (int i = 0; i < this.blocks.size(); i++) {
				Block block = this.blocks.get(i);
				CausalAttention.Remembered mixed = block.attention()
					.applyRemembering(block.attentionNorm().apply(x), rotary, mask, past.get(i));
				past.get(i).add(mixed.memory());
				x = block.feedForward(tf, tf.math.add(x, mixed.output()));
			}
			return this.norm.apply(x);
		});
	}

	/**
	 * New positions of some slots.
	 * @param x the embeddings {@code [A·Q, d]}
	 * @param places where they stand
	 * @param cache how large the cache is
	 * @return the hidden states {@code [A·Q, d]}
	 */
	Operand<TFloat32> applyCached(Operand<TFloat32> x, CachePlaces places, CacheConfig cache) {
		Ops tf = this.network.tf();
		long[] shape = { (long) cache.slots() * cache.pagesPerSlot(), CacheConfig.PAGE,
				(long) this.config.keyHeads() * this.config.headSize() };
		RotaryEmbedding rotary = RotaryEmbedding
			.table(tf, cache.context(), this.config.headSize(), this.config.ropeTheta())
			.at(tf, places.positions());
		Operand<TFloat32> result = x;
		for (int i = 0; i < this.blocks.size(); i++) {
			Block block = this.blocks.get(i);
			Variable keys = this.network.variables().declare(CalmNetwork.CACHE + "keys." + i, Initializer.ZEROS, shape);
			Variable values = this.network.variables()
				.declare(CalmNetwork.CACHE + "values." + i, Initializer.ZEROS, shape);
			Operand<TFloat32> mixed = block.attention()
				.applyCached(block.attentionNorm().apply(result), rotary, places, keys, values);
			result = block.feedForward(tf, tf.math.add(result, mixed));
		}
		return this.norm.apply(result);
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

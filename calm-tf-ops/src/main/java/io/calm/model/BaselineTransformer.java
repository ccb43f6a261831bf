package io.calm.model;

import io.calm.graph.Initializer;
import io.calm.graph.Linear;
import io.calm.graph.Network;
import io.calm.graph.Variable;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The baseline of every comparison in the paper: Llama, which predicts the next token.
 * {@code B} counts sequences, {@code S} their tokens.
 */
public final class BaselineTransformer {

	private final Network network;

	private final Variable embedding;

	private final Backbone backbone;

	private final Linear output;

	/**
	 * Declares the network.
	 * @param network where to build it
	 * @param vocabularySize V
	 * @param config the backbone's shape; positions are tokens here
	 */
	public BaselineTransformer(Network network, int vocabularySize, BackboneConfig config) {
		this.network = network;
		this.embedding = network.variables()
			.declare("model.embed_tokens.weight", Initializer.normal(config.initializerRange()), vocabularySize,
					config.hiddenSize());
		this.backbone = new Backbone(network, "model", config);
		this.output = Linear.withoutBias(network, "lm_head", config.hiddenSize(), vocabularySize,
				config.initializerRange());
	}

	/**
	 * The logits of the token after each.
	 * @param tokens {@code [B, S]}
	 * @return {@code [B·S, V]}
	 */
	public Operand<TFloat32> logits(Operand<TInt32> tokens) {
		Ops tf = this.network.tf();
		long count = tokens.shape().size();
		Operand<TInt32> flat = tf.reshape(tokens, tf.constant(new long[] { count }));
		Operand<TFloat32> embedded = tf.gather(this.embedding.value(), flat, tf.constant(0)); // [B·S,
																								// d]
		return this.output.apply(this.backbone.apply(embedded, tf.zerosLike(tokens)));
	}

}

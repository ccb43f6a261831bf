package io.calm.model;

import io.calm.graph.Embedding;
import io.calm.graph.Linear;
import io.calm.graph.Network;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The baseline of every comparison in the paper: Llama, which predicts the next token.
 * {@code B} counts sequences, {@code S} their tokens.
 */
public final class BaselineTransformer {

	private final Network network;

	private final Embedding embedding;

	private final Backbone backbone;

	private final Linear output;

	/**
	 * Declares the network.
	 * @param network where to build it
	 * @param vocabularySize V
	 * @param padId the id of PAD
	 * @param config the backbone's shape; positions are tokens here
	 */
	public BaselineTransformer(Network network, int vocabularySize, int padId, BackboneConfig config) {
		this.network = network;
		this.embedding = new Embedding(network, "model.embed_tokens", vocabularySize, config.hiddenSize(), padId,
				config.initializerRange());
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
		Operand<TInt32> oneDocument = this.network.tf().zerosLike(tokens);
		return this.output.apply(this.backbone.apply(this.embedding.apply(tokens), oneDocument));
	}

}

package io.calm.model;

import io.calm.graph.Embedding;
import io.calm.graph.LayerNorm;
import io.calm.graph.Linear;
import io.calm.graph.Network;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The input of the backbone (section 4.3 of the paper): the embeddings of a patch's K
 * tokens, side by side, become one vector.
 */
final class PatchEmbedding {

	private final Network network;

	private final Embedding embedding;

	/** K·d. */
	private final long inputSize;

	private final Linear first;

	private final Linear second;

	private final LayerNorm norm;

	PatchEmbedding(Network network, CalmConfig config) {
		this.network = network;
		long width = config.backbone().hiddenSize();
		this.embedding = new Embedding(network, "transformer.embed_tokens", config.vocabularySize(), width,
				config.padId(), config.backbone().initializerRange());
		this.inputSize = config.patchSize() * width;
		this.first = Linear.withBias(network, "embed_proj.0", this.inputSize, 2 * width);
		this.second = Linear.withBias(network, "embed_proj.2", 2 * width, width);
		this.norm = new LayerNorm(network, "embed_proj.3", width, 1e-6);
	}

	/** {@code tokens [R, K]} to {@code [R, d]}. */
	Operand<TFloat32> apply(Operand<TInt32> tokens) {
		Operand<TFloat32> sideBySide = this.network.reshape(this.embedding.apply(tokens), -1, this.inputSize);
		return this.norm.apply(this.second.apply(this.network.silu(this.first.apply(sideBySide))));
	}

}

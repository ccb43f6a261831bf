package io.calm.model;

import java.util.List;

import io.calm.autoencoder.Autoencoder;
import io.calm.graph.Network;
import io.calm.layer.Embedding;
import io.calm.layer.LayerNorm;
import io.calm.layer.Linear;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The input of the backbone (section 4.3 of the paper): the embeddings of a patch's K
 * tokens, its latent vector, or both, side by side, become one vector.
 */
final class PatchEmbedding {

	private final Network network;

	private final Autoencoder autoencoder;

	/** None where the input is the latent vector alone. */
	private final @Nullable Embedding embedding;

	/** K·d, the size of a patch's token embeddings side by side. */
	private final long tokensSize;

	private final boolean latent;

	private final Linear first;

	private final Linear second;

	private final LayerNorm norm;

	PatchEmbedding(Network network, CalmConfig config, Autoencoder autoencoder) {
		this.network = network;
		this.autoencoder = autoencoder;
		long width = config.backbone().hiddenSize();
		this.embedding = !config.input().hasTokens() ? null : new Embedding(network, "transformer.embed_tokens",
				config.vocabularySize(), width, config.padId(), config.backbone().initializerRange());
		this.tokensSize = config.patchSize() * width;
		this.latent = config.input().hasLatent();
		long inputSize = ((this.embedding != null) ? this.tokensSize : 0)
				+ (this.latent ? config.head().latentSize() : 0);
		this.first = Linear.withBias(network, "embed_proj.0", inputSize, 2 * width);
		this.second = Linear.withBias(network, "embed_proj.2", 2 * width, width);
		this.norm = new LayerNorm(network, "embed_proj.3", width, 1e-6);
	}

	/** {@code tokens [R, K]} to {@code [R, d]}. */
	Operand<TFloat32> apply(Operand<TInt32> tokens) {
		return this.norm.apply(this.second.apply(this.network.silu(this.first.apply(input(tokens)))));
	}

	private Operand<TFloat32> input(Operand<TInt32> tokens) {
		Ops tf = this.network.tf();
		if (this.embedding == null) {
			return latent(tokens);
		}
		Operand<TFloat32> sideBySide = this.network.reshape(this.embedding.apply(tokens), -1, this.tokensSize);
		return this.latent ? tf.concat(List.of(sideBySide, latent(tokens)), tf.constant(1)) : sideBySide;
	}

	/** {@code [R, l]}; the autoencoder is frozen. */
	private Operand<TFloat32> latent(Operand<TInt32> tokens) {
		return this.network.tf().stopGradient(this.autoencoder.encode(tokens).mean());
	}

}

package io.calm.autoencoder;

import java.util.List;
import java.util.stream.IntStream;

import io.calm.graph.Network;
import io.calm.layer.Embedding;
import io.calm.layer.Linear;
import io.calm.layer.RmsNorm;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The autoencoder's network: patches of K tokens to the posterior of one latent vector of
 * size l, and latent vectors back to tokens. {@code R} counts patches.
 */
public final class Autoencoder {

	private final Network network;

	private final AutoencoderConfig config;

	/** The embedding; also the decoder's output matrix, {@code [V, D]}. */
	private final Embedding embedding;

	private final List<ResidualLayer> encoderLayers;

	/** {@code K·D} to {@code D}: the tokens of a patch become one vector. */
	private final Linear squeeze;

	private final RmsNorm encoderNorm;

	private final Linear hiddenToLatent;

	private final Linear latentToHidden;

	private final List<ResidualLayer> decoderLayers;

	/** {@code D} to {@code K·D}: one vector becomes the tokens of a patch. */
	private final Linear expand;

	private final RmsNorm decoderNorm;

	/**
	 * Declares the parameters of an autoencoder.
	 * @param network where to build it
	 * @param prefix of the parameters' names: empty, or {@code ae_model.} inside a
	 * language model
	 * @param config its shape
	 */
	public Autoencoder(Network network, String prefix, AutoencoderConfig config) {
		this.network = network;
		this.config = config;
		int width = config.hiddenSize();
		String encoder = prefix + "encoder";
		this.embedding = new Embedding(network, encoder + ".embed_tokens", config.vocabularySize(), width,
				config.padId(), config.initializerRange());
		this.encoderLayers = layers(encoder + ".encoder_layers.", config.encoderLayers());
		this.squeeze = Linear.withBias(network, encoder + ".squeeze_layer", (long) config.patchSize() * width, width);
		this.encoderNorm = new RmsNorm(network, encoder + ".norm", width, config.normEpsilon());
		this.hiddenToLatent = Linear.withBias(network, encoder + ".hidden_to_latent", width, 2L * config.latentSize());
		String decoder = prefix + "decoder";
		this.latentToHidden = Linear.withBias(network, decoder + ".latent_to_hidden", config.latentSize(), width);
		this.decoderLayers = layers(decoder + ".decoder_layers.", config.decoderLayers());
		this.expand = Linear.withBias(network, decoder + ".expand_layer", width, (long) config.patchSize() * width);
		this.decoderNorm = new RmsNorm(network, decoder + ".norm", width, config.normEpsilon());
	}

	/**
	 * The shape of this autoencoder.
	 * @return the configuration
	 */
	public AutoencoderConfig config() {
		return this.config;
	}

	/**
	 * The vectors of single tokens, with which patches are encoded and tokens decoded.
	 * @return {@code [V, D]}
	 */
	public Operand<TFloat32> embedding() {
		return this.embedding.table();
	}

	/**
	 * Encodes patches into the posteriors of their latent vectors.
	 * @param tokens {@code [R, K]}
	 * @return the posterior of their latent vectors
	 */
	public Posterior encode(Operand<TInt32> tokens) {
		long width = this.config.hiddenSize();
		int half = this.encoderLayers.size() / 2;
		// [R·K, D]
		Operand<TFloat32> perToken = through(this.encoderLayers.subList(0, half), this.embedding.apply(tokens));
		// [R, D]
		Operand<TFloat32> perPatch = this.squeeze
			.apply(this.network.reshape(perToken, -1, this.config.patchSize() * width));
		perPatch = through(this.encoderLayers.subList(half, 2 * half), perPatch);
		// [R, 2l]
		Operand<TFloat32> latent = this.hiddenToLatent.apply(this.encoderNorm.apply(perPatch));
		int size = this.config.latentSize();
		return new Posterior(this.network.columns(latent, 0, size), this.network.columns(latent, size, size));
	}

	/**
	 * Decodes latent vectors to the logits of their tokens.
	 * @param latents {@code [R, l]}
	 * @return {@code [R·K, V]}
	 */
	public Operand<TFloat32> decode(Operand<TFloat32> latents) {
		return logits(this.network.reshape(expand(latents), -1, this.config.hiddenSize()));
	}

	/**
	 * Decodes latent vectors to their most likely tokens.
	 * @param latents {@code [R, l]}
	 * @return {@code [R, K]}
	 */
	public Operand<TInt32> decodeTokens(Operand<TFloat32> latents) {
		Ops tf = this.network.tf();
		return tf.reshape(mostLikely(decode(latents)), tf.constant(new long[] { -1, this.config.patchSize() }));
	}

	/**
	 * Decodes latent vectors of patches whose first tokens are known.
	 * @param latents {@code [R, l]}
	 * @param first {@code [R, A]}, the first A tokens of each, A below K
	 * @return {@code [R, K]}: these tokens, and the most likely ones behind them
	 */
	public Operand<TInt32> decodeTokens(Operand<TFloat32> latents, Operand<TInt32> first) {
		Ops tf = this.network.tf();
		long width = this.config.hiddenSize();
		long known = first.shape().get(1);
		long others = this.config.patchSize() - known;
		Operand<TFloat32> perToken = this.network
			.reshape(this.network.columns(expand(latents), known * width, others * width), -1, width);
		return tf.concat(
				List.of(first, tf.reshape(mostLikely(logits(perToken)), tf.constant(new long[] { -1, others }))),
				tf.constant(1));
	}

	/**
	 * Decodes latent vectors to their most likely tokens, as far as somebody who counts
	 * equal patches wants to know them: of a patch that is unlike all others of its owner
	 * some tokens may be left out.
	 * @param latents {@code [R, l]}
	 * @param first {@code [R, A]}, the first tokens of each where they are known
	 * @param owners {@code [R]}, for what each was drawn
	 * @param required {@code [R]}, which are decoded in any case, at least one
	 * @return {@code [R, K]}, with -1 for a token left out; a patch without some of its
	 * tokens is still unlike all others of its owner
	 */
	public Operand<TInt32> decodeRepeated(Operand<TFloat32> latents, @Nullable Operand<TInt32> first,
			Operand<TInt32> owners, Operand<TBool> required) {
		Ops tf = this.network.tf();
		long width = this.config.hiddenSize();
		int known = (first != null) ? (int) first.shape().get(1) : 0;
		Operand<TFloat32> expanded = expand(latents);
		return new RepeatedPatches(this.config.patchSize(), known, this.config.vocabularySize(), (place, rows) -> {
			if (first != null && place < known) {
				return tf.gather(tf.gather(first, tf.constant(place), tf.constant(1)), rows, tf.constant(0));
			}
			return mostLikely(
					logits(tf.gather(this.network.columns(expanded, place * width, width), rows, tf.constant(0))));
		}).decode(tf, owners, required);
	}

	/** {@code [R, l]} to {@code [R, K·D]}: a vector for each token of each patch. */
	private Operand<TFloat32> expand(Operand<TFloat32> latents) {
		int half = this.decoderLayers.size() / 2;
		return this.expand.apply(through(this.decoderLayers.subList(0, half), this.latentToHidden.apply(latents)));
	}

	/** {@code [n, D]} to {@code [n, V]}, token by token. */
	private Operand<TFloat32> logits(Operand<TFloat32> perToken) {
		int half = this.decoderLayers.size() / 2;
		Operand<TFloat32> last = through(this.decoderLayers.subList(half, 2 * half), perToken);
		return this.network.matMulTransposed(this.decoderNorm.apply(last), this.embedding.table());
	}

	private Operand<TInt32> mostLikely(Operand<TFloat32> logits) {
		Ops tf = this.network.tf();
		return tf.math.argMax(logits, tf.constant(1), TInt32.class);
	}

	private List<ResidualLayer> layers(String prefix, int count) {
		return IntStream.range(0, count)
			.mapToObj((i) -> new ResidualLayer(this.network, prefix + i, this.config))
			.toList();
	}

	private static Operand<TFloat32> through(List<ResidualLayer> layers, Operand<TFloat32> x) {
		Operand<TFloat32> result = x;
		for (ResidualLayer layer : layers) {
			result = layer.apply(result);
		}
		return result;
	}

}

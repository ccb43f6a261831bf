package io.calm.model;

import java.util.ArrayList;
import java.util.List;

import io.calm.autoencoder.Autoencoder;
import io.calm.autoencoder.AutoencoderConfig;
import io.calm.autoencoder.Posterior;
import io.calm.graph.CachePlaces;
import io.calm.graph.Draws;
import io.calm.graph.Network;
import io.calm.head.GenerativeHead;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The CALM language model's network (section 4 of the paper). {@code B} counts sequences,
 * {@code P} their patches. The hidden state of patch i predicts the latent vector of
 * patch i + 1; patch 0 is never predicted.
 */
public final class CalmNetwork {

	/** The prefix of the frozen autoencoder's parameters. */
	public static final String AUTOENCODER = "ae_model.";

	/** The prefix of the key/value cache's variables. */
	public static final String CACHE = "cache.";

	private final Network network;

	private final CalmConfig config;

	private final Autoencoder autoencoder;

	private final PatchEmbedding embedding;

	private final Backbone backbone;

	/** None where nothing is copied. */
	private final @Nullable CopyAttention copying;

	/** None where the loss has no term of tokens. */
	private final @Nullable TokenHead tokens;

	private final GenerativeHead head;

	/**
	 * Declares the network.
	 * @param network where to build it
	 * @param config its shape
	 * @param autoencoder the frozen autoencoder's shape
	 */
	public CalmNetwork(Network network, CalmConfig config, AutoencoderConfig autoencoder) {
		this.network = network;
		this.config = config;
		this.autoencoder = new Autoencoder(network, AUTOENCODER, autoencoder);
		this.embedding = new PatchEmbedding(network, config, this.autoencoder);
		this.backbone = new Backbone(network, "transformer", config.backbone());
		TokenVectors vectors = new TokenVectors(network, this.autoencoder.embedding());
		this.copying = (config.copySize() > 0) ? new CopyAttention(network, config, vectors) : null;
		this.head = config.head().declare(network);
		this.tokens = (config.tokenLoss() > 0) ? new TokenHead(network, config, vectors) : null;
	}

	/**
	 * Whether a variable is a parameter of the language model, which training changes.
	 * @param name of the variable
	 * @return false for the autoencoder and for what is no parameter
	 */
	public static boolean isParameter(String name) {
		return name.startsWith("embed_proj.") || name.startsWith("transformer.") || CopyAttention.isParameter(name)
				|| isHeadParameter(name);
	}

	/**
	 * Whether a variable is a parameter of the patch embedding.
	 * @param name of the variable
	 * @return false for all others
	 */
	public static boolean isEmbeddingParameter(String name) {
		return name.startsWith("embed_proj.") || name.startsWith("transformer.embed_tokens.");
	}

	/**
	 * Whether a variable is a parameter of what computes the loss from the states of the
	 * last layer: the generative head, and where they are, the joining of copies and the
	 * guessing of tokens.
	 * @param name of the variable
	 * @return false for all others
	 */
	public static boolean isHeadParameter(String name) {
		return name.startsWith("mlp_generator.") || name.startsWith("generative_head.")
				|| CopyAttention.isOutputParameter(name) || TokenHead.isParameter(name);
	}

	/**
	 * The embeddings of patches.
	 * @param tokens {@code [R, K]}
	 * @return {@code [R, d]}
	 */
	public Operand<TFloat32> embed(Operand<TInt32> tokens) {
		return this.embedding.apply(tokens);
	}

	/**
	 * The hidden states of whole sequences.
	 * @param tokens {@code [B·P, K]}
	 * @param documents {@code [B, P]}: patches of different documents do not see each
	 * other
	 * @return {@code [B·P, d]}
	 */
	public Operand<TFloat32> hiddenStates(Operand<TInt32> tokens, Operand<TInt32> documents) {
		return rollout(tokens, documents).hiddenStates();
	}

	/**
	 * The network layer by layer: from the embeddings of patches {@code [B·P, d]} to the
	 * states of the last layer, which {@link #loss} takes: the hidden states
	 * {@code [B·P, d]} and, where the model copies, beside them what is copied to the
	 * next patch, {@code K·D} numbers.
	 * @param tokens {@code [B·P, K]}
	 * @param documents {@code [B, P]}: patches of different documents do not see each
	 * other
	 * @return the layers in their order
	 */
	public List<BackboneLayer> layers(Operand<TInt32> tokens, Operand<TInt32> documents) {
		List<BackboneLayer> layers = new ArrayList<>(this.backbone.layers(documents));
		if (this.copying != null) {
			layers.add(this.copying.layer(tokens, documents));
		}
		return layers;
	}

	/**
	 * What training minimises, for each patch: the head's loss, and {@code tokenLoss}
	 * times the cross entropy of one of the next patch's tokens.
	 * @param states of the last layer, a row for each patch: see {@link #layers}
	 * @param target the posterior of the next patch
	 * @param next the tokens of the next patch, {@code [R, K]}
	 * @param draws the source of the step's random numbers
	 * @return {@code [R]}
	 */
	public Operand<TFloat32> loss(Operand<TFloat32> states, Posterior target, Operand<TInt32> next, Draws draws) {
		Ops tf = this.network.tf();
		long width = this.config.backbone().hiddenSize();
		Operand<TFloat32> hidden = states;
		Operand<TFloat32> copies = null;
		Operand<TFloat32> joined = states;
		if (this.copying != null) {
			hidden = this.network.columns(states, 0, width);
			copies = this.network.columns(states, width, states.shape().get(1) - width);
			joined = this.copying.joined(hidden, copies);
		}
		Operand<TFloat32> loss = this.head.loss(joined, target, draws);
		if (this.tokens != null) {
			Operand<TFloat32> ofTokens = this.tokens.loss(hidden, copies, next, draws.uniform(states.shape().get(0)));
			loss = tf.math.add(loss, tf.math.mul(ofTokens, tf.constant((float) this.config.tokenLoss())));
		}
		return loss;
	}

	/**
	 * The hidden states of whole sequences, each patch of which can be continued.
	 * @param tokens {@code [B·P, K]}
	 * @param documents {@code [B, P]}: patches of different documents do not see each
	 * other
	 * @return the beginning of all paths
	 */
	public Rollout rollout(Operand<TInt32> tokens, Operand<TInt32> documents) {
		return new Rollout(this.backbone, this::embed, this.copying, tokens, documents);
	}

	/**
	 * The hidden states of new patches of some slots, which join the slots' caches.
	 * @param tokens {@code [A·Q, K]}
	 * @param places where the patches stand
	 * @param cache how large the cache is
	 * @return {@code [A·Q, d]}
	 */
	public Operand<TFloat32> hiddenStatesCached(Operand<TInt32> tokens, CachePlaces places, CacheConfig cache) {
		Operand<TFloat32> hidden = this.backbone.applyCached(this.embedding.apply(tokens), places, cache);
		return (this.copying == null) ? hidden
				: this.copying.joined(hidden, this.copying.copiesCached(hidden, tokens, places, cache));
	}

	/**
	 * The frozen autoencoder's posterior of patches; no gradient flows into it.
	 * @param tokens {@code [R, K]}
	 * @return the posterior
	 */
	public Posterior posterior(Operand<TInt32> tokens) {
		Ops tf = this.network.tf();
		Posterior posterior = this.autoencoder.encode(tokens);
		return new Posterior(tf.stopGradient(posterior.mean()), tf.stopGradient(posterior.logDeviation()));
	}

	/**
	 * The tokens of latent vectors.
	 * @param latents {@code [R, l]}
	 * @return {@code [R, K]}
	 */
	public Operand<TInt32> decodeTokens(Operand<TFloat32> latents) {
		return this.autoencoder.decodeTokens(latents);
	}

	/**
	 * The tokens of latent vectors, without some that do not matter to who counts equal
	 * patches.
	 * @param latents {@code [R, l]}
	 * @param owners {@code [R]}, for what each was drawn
	 * @param whole {@code [R]}, which are decoded in any case, at least one
	 * @return {@code [R, K]}, see {@link Autoencoder#decodeRepeated}
	 */
	public Operand<TInt32> decodeRepeated(Operand<TFloat32> latents, Operand<TInt32> owners, Operand<TBool> whole) {
		return this.autoencoder.decodeRepeated(latents, owners, whole);
	}

	/**
	 * The logits of latent vectors' tokens.
	 * @param latents {@code [R, l]}
	 * @return {@code [R·K, V]}
	 */
	public Operand<TFloat32> decode(Operand<TFloat32> latents) {
		return this.autoencoder.decode(latents);
	}

	/**
	 * The generative head.
	 * @return the head
	 */
	public GenerativeHead head() {
		return this.head;
	}

	/**
	 * Its shape.
	 * @return the configuration
	 */
	public CalmConfig config() {
		return this.config;
	}

}

package io.calm.model;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.stream.IntStream;

import io.calm.autoencoder.Autoencoder;
import io.calm.autoencoder.AutoencoderConfig;
import io.calm.autoencoder.Posterior;
import io.calm.graph.Draws;
import io.calm.graph.Network;
import io.calm.head.GenerativeHead;
import io.calm.layer.Past;
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

	private final Network network;

	private final CalmConfig config;

	private final Autoencoder autoencoder;

	private final PatchEmbedding embedding;

	private final Backbone backbone;

	/** None where nothing is copied. */
	private final @Nullable CopyAttention copying;

	/** None where the loss has no term of tokens. */
	private final @Nullable TokenHead tokens;

	/** None where the vector is all that is drawn of a patch. */
	private final @Nullable LeadTokens leads;

	private final GenerativeHead head;

	/**
	 * Declares the parameters of a language model and of its frozen autoencoder.
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
		this.leads = (config.leadTokens() > 0 && this.tokens != null)
				? new LeadTokens(network, config, vectors, this.tokens) : null;
	}

	/**
	 * Whether a variable is a parameter of the language model, which training changes.
	 * @param name of the variable
	 * @return false for the autoencoder and for what is no parameter
	 */
	public static boolean isParameter(String name) {
		return name.startsWith("embed_proj.") || name.startsWith("transformer.") || CopyAttention.isParameter(name)
				|| isVectorParameter(name) || isTokenParameter(name);
	}

	/**
	 * Whether a variable is a parameter that a Llama has too: of the backbone, or the
	 * embedding of tokens.
	 * @param name of the variable
	 * @return false for all others
	 */
	public static boolean isBackboneParameter(String name) {
		return name.startsWith("transformer.");
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
	 * Whether a variable is a parameter that {@link #vectorLoss} alone depends on: of the
	 * generative head, and where they are, the joining of copies and of lead tokens.
	 * @param name of the variable
	 * @return false for all others
	 */
	public static boolean isVectorParameter(String name) {
		return name.startsWith("mlp_generator.") || name.startsWith("generative_head.")
				|| CopyAttention.isOutputParameter(name) || LeadTokens.isParameter(name);
	}

	/**
	 * Whether a variable is a parameter that {@link #tokenLoss} alone depends on.
	 * @param name of the variable
	 * @return false for all others
	 */
	public static boolean isTokenParameter(String name) {
		return TokenHead.isParameter(name);
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
	 * The states of whole sequences, from which {@link #draw} draws the next patches.
	 * @param tokens {@code [B·P, K]}
	 * @param documents {@code [B, P]}: patches of different documents do not see each
	 * other
	 * @return {@code [B·P, d]}, and where the model copies, {@code K·D} numbers more
	 */
	public Operand<TFloat32> states(Operand<TInt32> tokens, Operand<TInt32> documents) {
		return rollout(tokens, documents).states();
	}

	/**
	 * How many numbers the state of a patch has.
	 * @return d, and where the model copies, {@code K·D} more
	 */
	public long stateSize() {
		return this.config.backbone().hiddenSize()
				+ ((this.copying != null) ? this.config.patchSize() * this.autoencoder.config().hiddenSize() : 0);
	}

	/**
	 * The network layer by layer: from the embeddings of patches {@code [B·P, d]} to the
	 * states of the last layer, which the losses take: the hidden states {@code [B·P, d]}
	 * and, where the model copies, beside them what is copied to the next patch,
	 * {@code K·D} numbers.
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
	 * What training minimises of the next patch's vector: the head's loss.
	 * @param states of the last layer, a row for each patch: see {@link #layers}
	 * @param target the posterior of the next patch
	 * @param next the tokens of the next patch, {@code [R, K]}
	 * @param draws the source of the step's random numbers
	 * @return {@code [R]}
	 */
	public Operand<TFloat32> vectorLoss(Operand<TFloat32> states, Posterior target, Operand<TInt32> next, Draws draws) {
		Operand<TFloat32> given = given(states);
		if (this.leads != null) {
			given = this.leads.given(given, next);
		}
		return this.head.loss(given, target, draws);
	}

	/**
	 * What training minimises of the next patch's tokens, where the configuration's
	 * {@code tokenLoss} is above 0: so many times their cross entropy.
	 * @param states of the last layer, a row for each patch: see {@link #layers}
	 * @param next the tokens of the next patch, {@code [R, K]}
	 * @param draws the source of the step's random numbers
	 * @return {@code [R]}
	 */
	public Operand<TFloat32> tokenLoss(Operand<TFloat32> states, Operand<TInt32> next, Draws draws) {
		Ops tf = this.network.tf();
		return tf.math.mul(Objects.requireNonNull(this.tokens).loss(hidden(states), copies(states), next, draws),
				tf.constant((float) this.config.tokenLoss()));
	}

	private Operand<TFloat32> hidden(Operand<TFloat32> states) {
		return (this.copying == null) ? states : this.network.columns(states, 0, this.config.backbone().hiddenSize());
	}

	private @Nullable Operand<TFloat32> copies(Operand<TFloat32> states) {
		long width = this.config.backbone().hiddenSize();
		return (this.copying == null) ? null : this.network.columns(states, width, stateSize() - width);
	}

	/** What the head is given of states, {@code [R, d]}: what is copied is part of it. */
	Operand<TFloat32> given(Operand<TFloat32> states) {
		Operand<TFloat32> copies = copies(states);
		return (this.copying == null || copies == null) ? states : this.copying.joined(hidden(states), copies);
	}

	/**
	 * Draws next patches, as many for every state.
	 * @param states {@code [R, d]} or wider, see {@link #states}
	 * @param samples N, how many for each
	 * @param draws the source of random numbers
	 * @return {@code [R·N, K]}, the draws for a state side by side
	 */
	public Operand<TInt32> draw(Operand<TFloat32> states, int samples, Draws draws) {
		int rows = (int) states.shape().get(0);
		Operand<TInt32> owners = this.network.tf()
			.constant(IntStream.range(0, rows * samples).map((draw) -> draw / samples).toArray());
		Operand<TFloat32> noise = this.config.noise().draw(this.network, draws, (long) rows * samples);
		return draw(states, owners, noise, false);
	}

	/**
	 * Turns noise into next patches, some for each state.
	 * @param states {@code [R, d]} or wider, see {@link #states}
	 * @param owners {@code [n]}, the row of {@code states} that each draw belongs to
	 * @param noise as {@link CalmConfig#noise()} says, {@code [n, size]}
	 * @return {@code [n, K]}
	 */
	public Operand<TInt32> draw(Operand<TFloat32> states, Operand<TInt32> owners, Operand<TFloat32> noise) {
		return draw(states, owners, noise, true);
	}

	/**
	 * @param merged see {@link LeadTokens#draw}
	 */
	Operand<TInt32> draw(Operand<TFloat32> states, Operand<TInt32> owners, Operand<TFloat32> noise, boolean merged) {
		Latents latents = latents(states, owners, noise, merged);
		Operand<TInt32> leads = latents.leads();
		return (leads == null) ? this.autoencoder.decodeTokens(latents.vectors())
				: this.autoencoder.decodeTokens(latents.vectors(), leads);
	}

	/**
	 * The vectors of these patches.
	 * @param states {@code [R, d]} or wider, see {@link #states}
	 * @param owners {@code [n]}, the row of {@code states} that each draw belongs to
	 * @param noise as {@link CalmConfig#noise()} says, {@code [n, size]}
	 * @return {@code [n, l]}
	 */
	public Operand<TFloat32> latents(Operand<TFloat32> states, Operand<TInt32> owners, Operand<TFloat32> noise) {
		return latents(states, owners, noise, true).vectors();
	}

	/**
	 * The same without some tokens that do not matter to who counts equal patches.
	 * @param states {@code [R, d]} or wider, see {@link #states}
	 * @param owners {@code [n]}, the row of {@code states} that each draw belongs to
	 * @param noise as {@link CalmConfig#noise()} says, {@code [n, size]}
	 * @param required {@code [n]}, which are decoded in any case, at least one
	 * @return {@code [n, K]}, see {@link Autoencoder#decodeRepeated}
	 */
	public Operand<TInt32> drawRepeated(Operand<TFloat32> states, Operand<TInt32> owners, Operand<TFloat32> noise,
			Operand<TBool> required) {
		Latents latents = latents(states, owners, noise, true);
		return this.autoencoder.decodeRepeated(latents.vectors(), latents.leads(), owners, required);
	}

	/**
	 * @param merged see {@link LeadTokens#draw}
	 */
	private Latents latents(Operand<TFloat32> states, Operand<TInt32> owners, Operand<TFloat32> noise, boolean merged) {
		Ops tf = this.network.tf();
		PatchNoise parts = this.config.noise();
		Operand<TFloat32> given = given(states);
		Operand<TFloat32> ofHead = parts.ofHead(this.network, noise);
		if (this.leads == null) {
			return new Latents(this.head.sample(given, owners, ofHead), null);
		}
		LeadTokens.Drawn drawn = this.leads.draw(hidden(states), copies(states), owners,
				parts.ofLeadTokens(this.network, noise), merged);
		given = this.leads.given(tf.gather(given, drawn.rows(), tf.constant(0)), drawn.tokens());
		return new Latents(this.head.sample(given, drawn.ofDraws(), ofHead),
				tf.gather(drawn.tokens(), drawn.ofDraws(), tf.constant(0)));
	}

	/**
	 * The states of whole sequences, each patch of which can be continued.
	 * @param tokens {@code [B·P, K]}
	 * @param documents {@code [B, P]}: patches of different documents do not see each
	 * other
	 * @return the beginning of all paths
	 */
	public Rollout rollout(Operand<TInt32> tokens, Operand<TInt32> documents) {
		return new Rollout(this.backbone, this::embed,
				(this.copying != null) ? this.copying.begin(tokens, documents) : null, tokens, documents);
	}

	/**
	 * The states of new patches of some sequences.
	 * @param tokens {@code [A·Q, K]}
	 * @param past what stands before them
	 * @return {@code [A·Q, d]}, and where the model copies, {@code K·D} numbers more
	 */
	public Operand<TFloat32> states(Operand<TInt32> tokens, Past past) {
		Ops tf = this.network.tf();
		Operand<TFloat32> hidden = this.backbone.apply(this.embedding.apply(tokens), past);
		return (this.copying == null) ? hidden
				: tf.concat(List.of(hidden, this.copying.copies(hidden, tokens, past)), tf.constant(1));
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
	 * The logits of latent vectors' tokens.
	 * @param latents {@code [R, l]}
	 * @return {@code [R·K, V]}
	 */
	public Operand<TFloat32> decode(Operand<TFloat32> latents) {
		return this.autoencoder.decode(latents);
	}

	/**
	 * The head that draws latent vectors.
	 * @return the head
	 */
	public GenerativeHead head() {
		return this.head;
	}

	/**
	 * The shape of this model.
	 * @return the configuration
	 */
	public CalmConfig config() {
		return this.config;
	}

	/**
	 * Drawn vectors.
	 *
	 * @param vectors {@code [n, l]}
	 * @param leads {@code [n, A]}, the first tokens of their patches where they are known
	 */
	private record Latents(Operand<TFloat32> vectors, @Nullable Operand<TInt32> leads) {
	}

}

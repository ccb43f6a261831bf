package io.calm.model;

import java.util.List;

import io.calm.graph.Network;
import io.calm.layer.Embedding;
import io.calm.layer.Linear;
import io.calm.layer.Past;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The baseline of every comparison in the paper: Llama, which predicts the next token.
 * {@code B} counts sequences, {@code S} their tokens.
 */
public final class BaselineTransformer {

	/** Logits that are computed together, of about 16 MiB. */
	private static final int LOGITS = 1 << 22;

	/** Rows, below which a product with the matrix of the vocabulary is a waste. */
	private static final int FEWEST_ROWS = 256;

	private final BaselineConfig config;

	private final Embedding embedding;

	private final Backbone backbone;

	private final Linear output;

	/**
	 * Declares the parameters of a baseline.
	 * @param network where to build it
	 * @param config its shape
	 */
	public BaselineTransformer(Network network, BaselineConfig config) {
		this.config = config;
		BackboneConfig shape = config.backbone();
		this.embedding = new Embedding(network, "model.embed_tokens", config.vocabularySize(), shape.hiddenSize(),
				config.padId(), shape.initializerRange());
		this.backbone = new Backbone(network, "model", shape);
		this.output = Linear.withoutBias(network, "lm_head", shape.hiddenSize(), config.vocabularySize(),
				shape.initializerRange());
	}

	/**
	 * Whether a variable is a parameter of the model.
	 * @param name of the variable
	 * @return false for what is no parameter
	 */
	public static boolean isParameter(String name) {
		return isBackboneParameter(name) || isOutputParameter(name);
	}

	/**
	 * Whether a variable is a parameter of the backbone, or of the embedding.
	 * @param name of the variable
	 * @return false for all others
	 */
	public static boolean isBackboneParameter(String name) {
		return name.startsWith("model.");
	}

	/**
	 * Whether a variable is a parameter of the embedding.
	 * @param name of the variable
	 * @return false for all others
	 */
	public static boolean isEmbeddingParameter(String name) {
		return name.startsWith("model.embed_tokens.");
	}

	/**
	 * Whether a variable is a parameter of the output.
	 * @param name of the variable
	 * @return false for all others
	 */
	public static boolean isOutputParameter(String name) {
		return name.startsWith("lm_head.");
	}

	/**
	 * The embeddings of tokens.
	 * @param tokens {@code [R, 1]}
	 * @return {@code [R, d]}
	 */
	public Operand<TFloat32> embed(Operand<TInt32> tokens) {
		return this.embedding.apply(tokens);
	}

	/**
	 * The backbone layer by layer: from the embeddings of tokens to their hidden states.
	 * @param documents {@code [B, S]}: tokens of different documents do not see each
	 * other
	 * @return the layers in their order
	 */
	public List<BackboneLayer> layers(Operand<TInt32> documents) {
		return this.backbone.layers(documents);
	}

	/**
	 * The hidden states of whole sequences, each token of which can be continued.
	 * @param tokens {@code [B·S, 1]}
	 * @param documents {@code [B, S]}: tokens of different documents do not see each
	 * other
	 * @return the beginning of all paths
	 */
	public Rollout rollout(Operand<TInt32> tokens, Operand<TInt32> documents) {
		return new Rollout(this.backbone, this.embedding::apply, null, tokens, documents);
	}

	/**
	 * The hidden states of new tokens of some sequences.
	 * @param tokens {@code [A·Q, 1]}
	 * @param past what stands before them
	 * @return {@code [A·Q, d]}
	 */
	public Operand<TFloat32> hiddenStates(Operand<TInt32> tokens, Past past) {
		return this.backbone.apply(this.embedding.apply(tokens), past);
	}

	/**
	 * The logits of the token after each.
	 * @param hidden the hidden states {@code [R, d]}
	 * @return {@code [R, V]}
	 */
	public Operand<TFloat32> logits(Operand<TFloat32> hidden) {
		return this.output.apply(hidden);
	}

	/**
	 * For how many rows logits should be computed together: those of all tokens of a
	 * batch may be more than fit into memory.
	 * @return a number of rows
	 */
	public int rowsAtOnce() {
		return Math.max(FEWEST_ROWS, LOGITS / this.config.vocabularySize());
	}

	/**
	 * The shape of this baseline.
	 * @return the configuration
	 */
	public BaselineConfig config() {
		return this.config;
	}

}

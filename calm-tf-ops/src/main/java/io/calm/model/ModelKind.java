package io.calm.model;

import java.nio.file.Path;
import java.util.Map;

import io.calm.checkpoint.TensorEntry;
import io.calm.checkpoint.TensorFile;
import io.calm.input.InvalidInputException;

/**
 * The kind of a model, recognised by its tensors: {@code model_type} may be missing or
 * wrong.
 */
public enum ModelKind {

	/** An autoencoder of patches. */
	AUTOENCODER,
	/** A CALM language model with an energy head. */
	ENERGY,
	/** A CALM language model with a flow-matching head. */
	FLOW,
	/** A CALM language model with a diffusion head. */
	DIFFUSION,
	/** A baseline Transformer, which predicts one token at a time. */
	BASELINE;

	private static final String NETWORK = "generative_head.net.";

	/**
	 * Recognises a model by the names of its weights.
	 * @param where it came from, for the error
	 * @param weights its tensors
	 * @return the kind
	 * @throws InvalidInputException if it is none of them
	 */
	public static ModelKind of(Path where, TensorFile weights) {
		Map<String, TensorEntry> entries = weights.entries();
		if (entries.containsKey("mlp_generator.noise_embd.weight")
				|| entries.containsKey("generative_head.noise_embd.weight")) {
			return ENERGY;
		}
		TensorEntry input = entries.get(NETWORK + "input_proj.weight");
		TensorEntry output = entries.get(NETWORK + "final_layer.linear.weight");
		if (input != null && output != null && input.shape().size() == 2 && output.shape().size() == 2) {
			// from l numbers to l, or to twice as many where variances are learned
			return input.shape().get(1).equals(output.shape().get(0)) ? FLOW : DIFFUSION;
		}
		if (entries.containsKey("encoder.embed_tokens.weight")) {
			return AUTOENCODER;
		}
		// without an output of its own where that is the embedding
		if (entries.containsKey("model.embed_tokens.weight")
				&& (entries.containsKey("lm_head.weight") || entries.containsKey("model.norm.weight"))) {
			return BASELINE;
		}
		throw new InvalidInputException(where.toString(),
				"its tensors are those of no model known here (autoencoder, CALM, baseline Transformer)",
				"give the directory of a model that this library or the reference implementation wrote");
	}

	/**
	 * Whether it is a CALM language model, whatever its head.
	 * @return false for autoencoders and baselines
	 */
	public boolean isCalm() {
		return this == ENERGY || this == FLOW || this == DIFFUSION;
	}

}

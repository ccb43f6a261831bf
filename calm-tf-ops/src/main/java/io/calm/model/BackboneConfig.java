package io.calm.model;

import io.calm.input.InvalidInputException;

/**
 * The shape of a Llama decoder.
 *
 * @param hiddenSize d, the width
 * @param intermediateSize f, the inner width of the feed-forward networks
 * @param layers how many
 * @param heads query heads
 * @param keyHeads heads of keys and values; divides {@code heads}
 * @param headSize features of a head, even
 * @param positions the longest context, in patches (in tokens for the baseline)
 * @param ropeTheta the base of the rotary wavelengths
 * @param normEpsilon ε of the norms
 * @param initializerRange standard deviation of the first weights
 */
public record BackboneConfig(int hiddenSize, int intermediateSize, int layers, int heads, int keyHeads, int headSize,
		int positions, double ropeTheta, double normEpsilon, double initializerRange) {

	/** Checks the numbers. */
	public BackboneConfig {
		positive("hidden_size", hiddenSize);
		positive("intermediate_size", intermediateSize);
		positive("num_hidden_layers", layers);
		positive("num_attention_heads", heads);
		positive("num_key_value_heads", keyHeads);
		positive("max_position_embeddings", positions);
		positive("rope_theta", ropeTheta);
		positive("rms_norm_eps", normEpsilon);
		if (heads % keyHeads != 0) {
			throw new InvalidInputException("model, num_key_value_heads",
					"is " + keyHeads + " where there are " + heads + " attention heads",
					"choose a number that divides the attention heads");
		}
		if (headSize < 2 || headSize % 2 != 0) {
			throw new InvalidInputException("model, hidden_size / num_attention_heads", "is " + headSize,
					"choose sizes that make it an even number, as rotary embedding needs");
		}
	}

	private static void positive(String name, Number value) {
		if (!(value.doubleValue() > 0)) {
			throw new InvalidInputException("model, " + name, "is " + value, "choose a positive number");
		}
	}

}

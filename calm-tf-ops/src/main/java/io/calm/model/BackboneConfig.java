package io.calm.model;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

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

	/** Products of larger sizes overflow in TensorFlow, which then ends the process. */
	private static final int LARGEST = 1 << 24;

	/** Refuses numbers that are out of range. */
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
		if ((long) heads * headSize > LARGEST) {
			throw new InvalidInputException("model, head_dim",
					"is " + headSize + " where there are " + heads + " heads",
					"choose a smaller number: a row of all heads has at most " + LARGEST);
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

	/**
	 * A builder of a preset size.
	 * @param preset {@code nano} or {@code micro} for a laptop, {@code small}, or one of
	 * the paper: {@code CALM-M}, {@code CALM-L}, {@code CALM-XL}, {@code Transformer-S},
	 * {@code Transformer-M}, {@code Transformer-L}
	 * @return the builder
	 * @throws InvalidInputException if there is no such preset
	 */
	public static Builder preset(String preset) {
		Builder builder = new Builder();
		return switch (preset) {
			case "nano" -> builder.size(128, 352, 2, 4);
			case "micro" -> builder.size(256, 704, 4, 4);
			case "small" -> builder.size(512, 1376, 6, 8);
			case "Transformer-S" -> builder.size(768, 2048, 12, 16);
			case "Transformer-M", "CALM-M" -> builder.size(1024, 2752, 16, 16);
			case "Transformer-L", "CALM-L" -> builder.size(1536, 4096, 16, 16);
			case "CALM-XL" -> builder.size(2560, 6880, 16, 20);
			default -> throw new InvalidInputException("preset " + preset, "is not known",
					"choose one of nano, micro, small, CALM-M, CALM-L, CALM-XL, Transformer-S, Transformer-M, Transformer-L");
		};
	}

	/**
	 * A builder that begins with a shape.
	 * @param shape to begin with
	 * @return the builder
	 */
	static Builder like(BackboneConfig shape) {
		Builder builder = new Builder();
		builder.hiddenSize = shape.hiddenSize();
		builder.intermediateSize = shape.intermediateSize();
		builder.layers = shape.layers();
		builder.heads = shape.heads();
		builder.keyHeads = shape.keyHeads();
		builder.headSize = shape.headSize();
		builder.positions = shape.positions();
		builder.ropeTheta = shape.ropeTheta();
		builder.normEpsilon = shape.normEpsilon();
		builder.initializerRange = shape.initializerRange();
		return builder;
	}

	/**
	 * Builds the shape of a backbone.
	 */
	public static final class Builder {

		private int hiddenSize;

		private int intermediateSize;

		private int layers;

		private int heads;

		private int keyHeads;

		/** Null where it follows from width and heads. */
		private @Nullable Integer headSize;

		private int positions = 2048;

		private double ropeTheta = 1e4;

		private double normEpsilon = 1e-6;

		private double initializerRange = 0.02;

		private Builder() {
		}

		private Builder size(int hiddenSize, int intermediateSize, int layers, int heads) {
			return hiddenSize(hiddenSize).intermediateSize(intermediateSize).layers(layers).heads(heads);
		}

		/**
		 * d, the width; the inner width follows as 8/3 of it, to a multiple of 32, unless
		 * it is set later.
		 * @param hiddenSize of the preset by default
		 * @return this
		 */
		public Builder hiddenSize(int hiddenSize) {
			this.hiddenSize = hiddenSize;
			this.intermediateSize = (hiddenSize * 8 / 3 + 31) / 32 * 32;
			this.headSize = null;
			return this;
		}

		/**
		 * f, the inner width of the feed-forward networks.
		 * @param intermediateSize of the preset by default
		 * @return this
		 */
		public Builder intermediateSize(int intermediateSize) {
			this.intermediateSize = intermediateSize;
			return this;
		}

		/**
		 * Sets the number of layers.
		 * @param layers of the preset by default
		 * @return this
		 */
		public Builder layers(int layers) {
			this.layers = layers;
			return this;
		}

		/**
		 * Attention heads; those of keys and values follow unless they are set later.
		 * @param heads of the preset by default
		 * @return this
		 */
		public Builder heads(int heads) {
			this.heads = heads;
			this.keyHeads = heads;
			this.headSize = null;
			return this;
		}

		/**
		 * Heads of keys and values.
		 * @param keyHeads as many as query heads by default
		 * @return this
		 */
		public Builder keyHeads(int keyHeads) {
			this.keyHeads = keyHeads;
			return this;
		}

		/**
		 * Sets the longest context, in patches.
		 * @param positions in patches, or in tokens for the baseline; 2048 by default
		 * @return this
		 */
		public Builder positions(int positions) {
			this.positions = positions;
			return this;
		}

		/**
		 * Builds the configuration.
		 * @return the shape
		 * @throws InvalidInputException if a number is out of its range
		 */
		public BackboneConfig build() {
			if (this.headSize == null && this.heads > 0 && this.hiddenSize % this.heads != 0) {
				throw new InvalidInputException("model, num_attention_heads",
						"is " + this.heads + ", which does not divide hidden_size " + this.hiddenSize,
						"choose a number that does");
			}
			int headSize = (this.headSize != null) ? this.headSize : this.hiddenSize / Math.max(1, this.heads);
			return new BackboneConfig(this.hiddenSize, this.intermediateSize, this.layers, this.heads, this.keyHeads,
					headSize, this.positions, this.ropeTheta, this.normEpsilon, this.initializerRange);
		}

	}

}

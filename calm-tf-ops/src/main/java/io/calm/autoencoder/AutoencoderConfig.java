package io.calm.autoencoder;

import io.calm.input.InvalidInputException;

/**
 * The shape of an autoencoder.
 *
 * @param vocabularySize V, the number of token ids, PAD included
 * @param patchSize K, tokens per patch
 * @param hiddenSize D, the width
 * @param intermediateSize F, the inner width of the feed-forward networks
 * @param latentSize l, the size of the latent vector
 * @param encoderLayers layers of the encoder, even: half per token, half per patch
 * @param decoderLayers layers of the decoder, even: half per patch, half per token
 * @param dropout the probability of DropToken and of DropLatent
 * @param klWeight the weight of the KL term
 * @param klClamp the least KL of a latent dimension that is counted, in nats
 * @param normEpsilon ε of the norms
 * @param initializerRange standard deviation of the first weights
 * @param padId the id of PAD
 * @param bosId the id that begins a document
 * @param eosId the id that ends a document
 */
public record AutoencoderConfig(int vocabularySize, int patchSize, int hiddenSize, int intermediateSize, int latentSize,
		int encoderLayers, int decoderLayers, double dropout, double klWeight, double klClamp, double normEpsilon,
		double initializerRange, int padId, int bosId, int eosId) {

	/** The paper's dropout for K = 4. */
	public static final double DROPOUT = 0.15;

	/** The paper's weight of the KL term. */
	public static final double KL_WEIGHT = 1e-3;

	/** The paper's least KL of a dimension that counts. */
	public static final double KL_CLAMP = 0.5;

	/** Products of larger sizes overflow in TensorFlow, which then ends the process. */
	private static final int LARGEST = 1 << 24;

	/** Refuses numbers that are out of range. */
	public AutoencoderConfig {
		positive("vocab_size", vocabularySize);
		positive("patch_size", patchSize);
		positive("hidden_size", hiddenSize);
		positive("intermediate_size", intermediateSize);
		positive("latent_size", latentSize);
		even("num_encoder_layers", encoderLayers);
		even("num_decoder_layers", decoderLayers);
		if (!(dropout >= 0 && dropout < 1)) {
			throw invalid("ae_dropout", "is " + dropout, "choose a probability from 0 up to, not including, 1");
		}
		if (padId < 0 || padId >= vocabularySize) {
			throw invalid("pad_token_id", "is " + padId + " where the vocabulary has " + vocabularySize + " ids",
					"choose an id of the vocabulary");
		}
	}

	/**
	 * A builder with the paper's values for K = 4: D = 512, F = 1280, l = 128, 2 + 2
	 * layers, dropout 0.15.
	 * @param vocabularySize V, the number of token ids, PAD included
	 * @return the builder
	 */
	public static Builder builder(int vocabularySize) {
		return new Builder(vocabularySize);
	}

	private static void positive(String name, int value) {
		if (value < 1 || value > LARGEST) {
			throw invalid(name, "is " + value, "choose a number from 1 to " + LARGEST);
		}
	}

	private static void even(String name, int value) {
		if (value < 2 || value % 2 != 0) {
			throw invalid(name, "is " + value, "choose an even number: half of the layers see tokens, half patches");
		}
	}

	private static InvalidInputException invalid(String name, String problem, String action) {
		return new InvalidInputException("autoencoder, " + name, problem, action);
	}

	/**
	 * Builds a configuration.
	 */
	public static final class Builder {

		private final int vocabularySize;

		private int patchSize = 4;

		private int hiddenSize = 512;

		private int intermediateSize = 1280;

		private int latentSize = 128;

		private int layers = 2;

		private double dropout = DROPOUT;

		private double klWeight = KL_WEIGHT;

		private double klClamp = KL_CLAMP;

		private int padId;

		private int bosId = 1;

		private int eosId = 2;

		private Builder(int vocabularySize) {
			this.vocabularySize = vocabularySize;
		}

		/**
		 * K, tokens per patch.
		 * @param patchSize 4 by default
		 * @return this
		 */
		public Builder patchSize(int patchSize) {
			this.patchSize = patchSize;
			return this;
		}

		/**
		 * Sets D, the width of encoder and decoder.
		 * @param hiddenSize 512 by default
		 * @return this
		 */
		public Builder hiddenSize(int hiddenSize) {
			this.hiddenSize = hiddenSize;
			return this;
		}

		/**
		 * F, the inner width of the feed-forward networks.
		 * @param intermediateSize 1280 by default
		 * @return this
		 */
		public Builder intermediateSize(int intermediateSize) {
			this.intermediateSize = intermediateSize;
			return this;
		}

		/**
		 * l, the size of the latent vector.
		 * @param latentSize 128 by default
		 * @return this
		 */
		public Builder latentSize(int latentSize) {
			this.latentSize = latentSize;
			return this;
		}

		/**
		 * Layers of the encoder, and as many of the decoder.
		 * @param layers 2 by default; even
		 * @return this
		 */
		public Builder layers(int layers) {
			this.layers = layers;
			return this;
		}

		/**
		 * The probability of DropToken and of DropLatent.
		 * @param dropout 0.15 by default
		 * @return this
		 */
		public Builder dropout(double dropout) {
			this.dropout = dropout;
			return this;
		}

		/**
		 * The weight of the KL term.
		 * @param klWeight 0.001 by default
		 * @return this
		 */
		public Builder klWeight(double klWeight) {
			this.klWeight = klWeight;
			return this;
		}

		/**
		 * The least KL of a latent dimension that is counted.
		 * @param klClamp 0.5 nats by default
		 * @return this
		 */
		public Builder klClamp(double klClamp) {
			this.klClamp = klClamp;
			return this;
		}

		/**
		 * The ids with a meaning of their own.
		 * @param padId fills patches, 0 by default
		 * @param bosId begins a document, 1 by default
		 * @param eosId ends a document, 2 by default
		 * @return this
		 */
		public Builder specialIds(int padId, int bosId, int eosId) {
			this.padId = padId;
			this.bosId = bosId;
			this.eosId = eosId;
			return this;
		}

		/**
		 * Builds the configuration.
		 * @return the configuration
		 * @throws InvalidInputException if a number is out of its range
		 */
		public AutoencoderConfig build() {
			return new AutoencoderConfig(this.vocabularySize, this.patchSize, this.hiddenSize, this.intermediateSize,
					this.latentSize, this.layers, this.layers, this.dropout, this.klWeight, this.klClamp, 1e-6, 0.02,
					this.padId, this.bosId, this.eosId);
		}

	}

}

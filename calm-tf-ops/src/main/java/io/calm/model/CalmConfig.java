package io.calm.model;

import java.util.function.Consumer;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.head.DiffusionConfig;
import io.calm.head.EnergyConfig;
import io.calm.head.FlowConfig;
import io.calm.head.HeadConfig;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * The shape of a CALM language model.
 *
 * @param vocabularySize V, the number of token ids, PAD included
 * @param patchSize K, tokens per patch
 * @param backbone the Transformer over patches
 * @param head the generative head
 * @param input what of a patch the backbone is given
 * @param copySize s, features of the queries and keys with which single tokens are
 * copied; 0 for a model that does not copy, as the paper's
 * @param tokenLoss what the cross entropy of the next tokens counts in training, beside
 * the head's loss; 0 for the paper's objective
 * @param guessedTokens m, how many of a patch's K tokens the token loss is about in each
 * step of the training
 * @param vectorEvery the vectors are learned in one of so many sequences of a step,
 * tokens in all; 1 for the paper's objective
 * @param leadTokens A, how many of the next patch's first tokens are drawn before its
 * vector, which is drawn given them; below K, and 0 for the paper's model
 * @param padId the id of PAD
 * @param bosId the id that begins a document
 * @param eosId the id that ends a document
 */
public record CalmConfig(int vocabularySize, int patchSize, BackboneConfig backbone, HeadConfig head, ModelInput input,
		int copySize, double tokenLoss, int guessedTokens, int vectorEvery, int leadTokens, int padId, int bosId,
		int eosId) implements LanguageModelConfig {

	private static final int FEW_IDS = 10_000;

	/** Checks that the parts fit. */
	public CalmConfig {
		if (patchSize < 1) {
			throw new InvalidInputException("model, patch_size", "is " + patchSize, "choose a positive number");
		}
		if (copySize < 0 || copySize % 2 != 0) {
			throw new InvalidInputException("model, copy_size", "is " + copySize,
					"choose an even number, as rotary embedding needs, or 0 for a model that does not copy");
		}
		if (!(tokenLoss >= 0 && tokenLoss < Double.POSITIVE_INFINITY)) {
			throw new InvalidInputException("model, token_loss", "is " + tokenLoss, "choose 0 or a positive number");
		}
		if (guessedTokens < 1 || guessedTokens > patchSize) {
			throw new InvalidInputException("model, guessed_tokens", "is " + guessedTokens,
					"choose from 1 to " + patchSize + ", the tokens of a patch");
		}
		if (vectorEvery < 1) {
			throw new InvalidInputException("model, vector_every", "is " + vectorEvery, "choose a positive number");
		}
		if (vectorEvery > 1 && tokenLoss == 0) {
			throw new InvalidInputException("model, vector_every", "is " + vectorEvery + " where token_loss is 0",
					"choose a token_loss above 0, which is learned in all sequences, or 1");
		}
		if (leadTokens < 0 || leadTokens >= patchSize) {
			throw new InvalidInputException("model, lead_tokens", "is " + leadTokens,
					"choose from 0 to " + (patchSize - 1) + ": a patch has " + patchSize
							+ " tokens, and its vector stands for at least one of them");
		}
		if (leadTokens > 0 && tokenLoss == 0) {
			throw new InvalidInputException("model, lead_tokens", "is " + leadTokens + " where token_loss is 0",
					"choose a token_loss above 0, from which lead tokens are learned, or no lead tokens");
		}
		inVocabulary("pad_token_id", padId, vocabularySize);
		inVocabulary("bos_token_id", bosId, vocabularySize);
		inVocabulary("eos_token_id", eosId, vocabularySize);
	}

	/** All, as far as their logits are a small part of a step. */
	static int guessedTokens(int vocabularySize, int patchSize) {
		return (vocabularySize <= FEW_IDS) ? patchSize : 1;
	}

	static void inVocabulary(String name, int id, int vocabularySize) {
		if (id < 0 || id >= vocabularySize) {
			throw new InvalidInputException("model, " + name,
					"is " + id + " where the vocabulary has " + vocabularySize + " ids",
					"choose an id of the vocabulary");
		}
	}

	/**
	 * What one draw of a patch takes.
	 * @return its random numbers
	 */
	public PatchNoise noise() {
		return new PatchNoise(this.leadTokens, this.head.noise());
	}

	/**
	 * A builder of a preset size.
	 * @param preset {@code nano} or {@code micro} for a laptop, {@code small}, or
	 * {@code CALM-M}, {@code CALM-L}, {@code CALM-XL} of the paper
	 * @return the builder
	 * @throws InvalidInputException if there is no such preset
	 */
	public static Builder preset(String preset) {
		return new Builder(BackboneConfig.preset(preset));
	}

	/**
	 * A builder of a model over a given backbone, such as that of a pretrained Llama.
	 * @param backbone its shape
	 * @return the builder
	 */
	public static Builder over(BackboneConfig backbone) {
		return new Builder(BackboneConfig.like(backbone));
	}

	/**
	 * Builds a configuration; vocabulary, patch size, latent size and special ids come
	 * from the autoencoder.
	 */
	public static final class Builder {

		private final BackboneConfig.Builder backbone;

		private @Nullable Integer headBlocks;

		private final EnergyConfig.Builder energy = new EnergyConfig.Builder();

		private final FlowConfig.Builder flow = new FlowConfig.Builder();

		private final DiffusionConfig.Builder diffusion = new DiffusionConfig.Builder();

		private HeadConfig.Builder head = this.energy;

		private ModelInput input = ModelInput.DISCRETE;

		private int copySize = 64;

		private double tokenLoss = 1;

		private @Nullable Integer guessedTokens;

		private int vectorEvery = 1;

		private @Nullable Integer leadTokens;

		private Builder(BackboneConfig.Builder backbone) {
			this.backbone = backbone;
		}

		/**
		 * d, the width; the inner width follows as 8/3 of it, to a multiple of 32, unless
		 * it is set later.
		 * @param hiddenSize of the preset by default
		 * @return this
		 */
		public Builder hiddenSize(int hiddenSize) {
			this.backbone.hiddenSize(hiddenSize);
			return this;
		}

		/**
		 * f, the inner width of the feed-forward networks.
		 * @param intermediateSize of the preset by default
		 * @return this
		 */
		public Builder intermediateSize(int intermediateSize) {
			this.backbone.intermediateSize(intermediateSize);
			return this;
		}

		/**
		 * Layers of the backbone.
		 * @param layers of the preset by default
		 * @return this
		 */
		public Builder layers(int layers) {
			this.backbone.layers(layers);
			return this;
		}

		/**
		 * Attention heads; those of keys and values follow unless they are set later.
		 * @param heads of the preset by default
		 * @return this
		 */
		public Builder heads(int heads) {
			this.backbone.heads(heads);
			return this;
		}

		/**
		 * Heads of keys and values.
		 * @param keyHeads as many as query heads by default
		 * @return this
		 */
		public Builder keyHeads(int keyHeads) {
			this.backbone.keyHeads(keyHeads);
			return this;
		}

		/**
		 * Sets the longest context, in patches.
		 * @param positions in patches, 2048 by default
		 * @return this
		 */
		public Builder positions(int positions) {
			this.backbone.positions(positions);
			return this;
		}

		/**
		 * Residual blocks of the head.
		 * @param blocks one for every four layers of the backbone, at least two, by
		 * default
		 * @return this
		 */
		public Builder headBlocks(int blocks) {
			this.headBlocks = blocks;
			return this;
		}

		/**
		 * What of a patch the backbone is given.
		 * @param input discrete by default
		 * @return this
		 */
		public Builder input(ModelInput input) {
			this.input = input;
			return this;
		}

		/**
		 * s, features of the queries and keys with which the places of the next patch
		 * attend to single tokens and copy them.
		 * @param copySize 64 by default; 0 for a model that does not copy, as the paper's
		 * @return this
		 */
		public Builder copySize(int copySize) {
			this.copySize = copySize;
			return this;
		}

		/**
		 * What the cross entropy of the next tokens counts in training, beside the head's
		 * loss: it teaches the backbone what to know, copying what to copy, and to draw
		 * lead tokens.
		 * @param tokenLoss 1 by default; 0 for the paper's objective
		 * @return this
		 */
		public Builder tokenLoss(double tokenLoss) {
			this.tokenLoss = tokenLoss;
			return this;
		}

		/**
		 * m, how many of a patch's tokens the token loss is about in each step, others in
		 * every step: more of them teach more and cost more.
		 * @param guessedTokens all by default, or one where the vocabulary has more than
		 * 10 000 ids
		 * @return this
		 */
		public Builder guessedTokens(int guessedTokens) {
			this.guessedTokens = guessedTokens;
			return this;
		}

		/**
		 * Learns the vectors in one of so many sequences of a step, and tokens in all:
		 * the head takes most of a small model's step, so that as much time is enough for
		 * more sequences.
		 * @param vectorEvery 1 by default, as in the paper; where it does not divide the
		 * sequences of a step, their largest common divisor is taken
		 * @return this
		 */
		public Builder vectorEvery(int vectorEvery) {
			this.vectorEvery = vectorEvery;
			return this;
		}

		/**
		 * A, how many of the next patch's first tokens are drawn one after the other
		 * before its vector, which is drawn given them. They name which of several
		 * continuations it is to be, so that no vector lies between two.
		 * @param leadTokens half of the patch by default; 0 without a token loss, as in
		 * the paper's model
		 * @return this
		 */
		public Builder leadTokens(int leadTokens) {
			this.leadTokens = leadTokens;
			return this;
		}

		/**
		 * Chooses the energy head, as is the default.
		 * @param settings sets what differs from the paper
		 * @return this
		 */
		public Builder energyHead(Consumer<EnergyConfig.Builder> settings) {
			settings.accept(this.energy);
			this.head = this.energy;
			return this;
		}

		/**
		 * Chooses the flow-matching head.
		 * @param settings sets what differs from the paper
		 * @return this
		 */
		public Builder flowHead(Consumer<FlowConfig.Builder> settings) {
			settings.accept(this.flow);
			this.head = this.flow;
			return this;
		}

		/**
		 * Chooses the diffusion head.
		 * @param settings sets what differs from the paper
		 * @return this
		 */
		public Builder diffusionHead(Consumer<DiffusionConfig.Builder> settings) {
			settings.accept(this.diffusion);
			this.head = this.diffusion;
			return this;
		}

		/**
		 * The size of the energy head's noise.
		 * @param noiseSize 64 by default
		 * @return this
		 */
		public Builder noiseSize(int noiseSize) {
			this.energy.noiseSize(noiseSize);
			return this;
		}

		/**
		 * N, how often the head is evaluated for each patch in training, whichever head
		 * it is.
		 * @param samples 8 by default
		 * @return this
		 */
		public Builder samples(int samples) {
			this.energy.samples(samples);
			this.flow.samples(samples);
			this.diffusion.samples(samples);
			return this;
		}

		/**
		 * M, samples of the posterior per patch in training of the energy head.
		 * @param targets 100 by default
		 * @return this
		 */
		public Builder targets(int targets) {
			this.energy.targets(targets);
			return this;
		}

		/**
		 * The exponent of the energy score.
		 * @param alpha 1 by default, in (0, 2)
		 * @return this
		 */
		public Builder alpha(double alpha) {
			this.energy.alpha(alpha);
			return this;
		}

		/**
		 * Builds it for an autoencoder.
		 * @param autoencoder whose latent vectors the model predicts
		 * @return the configuration
		 * @throws InvalidInputException if a number is out of its range
		 */
		public CalmConfig build(AutoencoderConfig autoencoder) {
			BackboneConfig backbone = this.backbone.build();
			int blocks = (this.headBlocks != null) ? this.headBlocks : Math.max(2, (backbone.layers() + 3) / 4);
			HeadConfig head = this.head.build(backbone.hiddenSize(), autoencoder.latentSize(), blocks);
			int leads = (this.leadTokens != null) ? this.leadTokens
					: (this.tokenLoss > 0) ? autoencoder.patchSize() / 2 : 0;
			int guessed = (this.guessedTokens != null) ? this.guessedTokens
					: CalmConfig.guessedTokens(autoencoder.vocabularySize(), autoencoder.patchSize());
			return new CalmConfig(autoencoder.vocabularySize(), autoencoder.patchSize(), backbone, head, this.input,
					this.copySize, this.tokenLoss, guessed, this.vectorEvery, leads, autoencoder.padId(),
					autoencoder.bosId(), autoencoder.eosId());
		}

	}

}

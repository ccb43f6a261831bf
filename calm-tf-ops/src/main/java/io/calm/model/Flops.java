package io.calm.model;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.head.DiffusionConfig;
import io.calm.head.EnergyConfig;
import io.calm.head.FlowConfig;
import io.calm.head.HeadConfig;
import io.calm.head.Solver;

/**
 * What a token costs, in floating-point operations: two for each multiplication of a
 * matrix product, and twice as much again on the way back. Norms, activations, losses and
 * look-ups are left out, and so is what an implementation computes a second time to save
 * memory. Attention sees a full context, as in the paper's table 1, whose numbers these
 * are within 5 %.
 *
 * @param training per token, forward and backward; of a CALM model with the encoder that
 * makes its targets, but without the training of its autoencoder
 * @param inference per token generated, decoding included
 */
public record Flops(double training, double inference) {

	private static final int PER_PRODUCT = 2;

	/** Forward, and twice that for the gradients of values and of weights. */
	private static final int TRAINED = 3;

	/**
	 * A CALM language model. What its head computes of a patch alone counts once per
	 * patch, the rest once per sample.
	 * @param config its shape
	 * @param autoencoder its autoencoder's
	 * @param context how many patches attention sees
	 * @return the cost
	 */
	public static Flops of(CalmConfig config, AutoencoderConfig autoencoder, int context) {
		double width = config.backbone().hiddenSize();
		ModelInput input = config.input();
		double inputSize = (input.hasTokens() ? config.patchSize() * width : 0)
				+ (input.hasLatent() ? autoencoder.latentSize() : 0);
		double embedding = inputSize * 2 * width + 2 * width * width;
		double trunk = embedding + backbone(config.backbone(), context) + copying(config, autoencoder, context);
		Head head = Head.of(config.head());
		double vector = TRAINED
				* (joining(config, autoencoder) + head.perPatch() + config.head().samples() * head.perEvaluation())
				+ encoder(autoencoder);
		double training = TRAINED * trunk + vector / config.vectorEvery() + tokenLoss(config, autoencoder);
		double inference = trunk + joining(config, autoencoder) + head.perPatch()
				+ head.evaluations() * head.perEvaluation() + leadTokens(config, autoencoder)
				+ decoder(autoencoder, config.patchSize() - config.leadTokens())
				+ (input.hasLatent() ? encoder(autoencoder) : 0);
		double perToken = (double) PER_PRODUCT / config.patchSize();
		return new Flops(training * perToken, inference * perToken);
	}

	/**
	 * Counts a baseline Transformer.
	 * @param config its shape
	 * @param context how many tokens attention sees
	 * @return the cost
	 */
	public static Flops of(BaselineConfig config, int context) {
		double forward = PER_PRODUCT * (backbone(config.backbone(), context)
				+ (double) config.backbone().hiddenSize() * config.vocabularySize());
		return new Flops(TRAINED * forward, forward);
	}

	/**
	 * Counts an autoencoder alone.
	 * @param config its shape
	 * @return the cost of its training, and of encoding and decoding
	 */
	public static Flops of(AutoencoderConfig config) {
		double forward = PER_PRODUCT * (encoder(config) + decoder(config, config.patchSize())) / config.patchSize();
		return new Flops(TRAINED * forward, forward);
	}

	/** Products per position. */
	private static double backbone(BackboneConfig config, int context) {
		double width = config.hiddenSize();
		double queries = (double) config.heads() * config.headSize();
		double keys = (double) config.keyHeads() * config.headSize();
		double projections = 2 * width * queries + 2 * width * keys;
		double attention = 2 * context * queries;
		double feedForward = 3 * width * config.intermediateSize();
		return config.layers() * (projections + attention + feedForward);
	}

	/** Products per patch: queries, keys, scores and copies of K places. */
	private static double copying(CalmConfig config, AutoencoderConfig autoencoder, int context) {
		if (config.copySize() == 0) {
			return 0;
		}
		double places = config.patchSize();
		double width = config.backbone().hiddenSize();
		double vector = autoencoder.hiddenSize();
		double tokens = places * context;
		return places
				* (width * config.copySize() + 2 * vector * config.copySize() + tokens * (config.copySize() + vector));
	}

	/** Products per patch, of what the head is given of copies and lead tokens. */
	private static double joining(CalmConfig config, AutoencoderConfig autoencoder) {
		int copies = (config.copySize() > 0) ? config.patchSize() : 0;
		return (double) (copies + config.leadTokens()) * autoencoder.hiddenSize() * config.backbone().hiddenSize();
	}

	/**
	 * Products per patch of a training step beside those of the head. The matrix of the
	 * logits is frozen and has no gradient.
	 */
	private static double tokenLoss(CalmConfig config, AutoencoderConfig autoencoder) {
		if (config.tokenLoss() == 0) {
			return 0;
		}
		double logits = (double) autoencoder.hiddenSize() * config.vocabularySize();
		return TRAINED * guesses(config, autoencoder, config.patchSize()) + 2 * config.guessedTokens() * logits;
	}

	/** Products per patch, the logits of the lead tokens included. */
	private static double leadTokens(CalmConfig config, AutoencoderConfig autoencoder) {
		return guesses(config, autoencoder, config.leadTokens())
				+ (double) config.leadTokens() * autoencoder.hiddenSize() * config.vocabularySize();
	}

	/** Products per patch, of the guesses of its first tokens. */
	private static double guesses(CalmConfig config, AutoencoderConfig autoencoder, int tokens) {
		double width = config.backbone().hiddenSize();
		double vector = autoencoder.hiddenSize();
		double following = 0;
		for (int place = 1; place < config.leadTokens(); place++) {
			following += (width + place * vector) * 2 * width + 2 * width * vector;
		}
		return tokens * width * vector + following;
	}

	/** Products per patch. */
	private static double encoder(AutoencoderConfig config) {
		double width = config.hiddenSize();
		double halfOfLayers = config.encoderLayers() / 2.0 * 3 * width * config.intermediateSize();
		return config.patchSize() * halfOfLayers + config.patchSize() * width * width + halfOfLayers
				+ width * 2 * config.latentSize();
	}

	/** Products per patch, the logits of some of its tokens included. */
	private static double decoder(AutoencoderConfig config, int tokens) {
		double width = config.hiddenSize();
		double halfOfLayers = config.decoderLayers() / 2.0 * 3 * width * config.intermediateSize();
		return config.latentSize() * width + halfOfLayers + config.patchSize() * width * width
				+ tokens * (halfOfLayers + width * config.vocabularySize());
	}

	/**
	 * Products of a head.
	 *
	 * @param perPatch of the hidden state alone
	 * @param perEvaluation each time the network is evaluated
	 * @param evaluations for one draw
	 */
	private record Head(double perPatch, double perEvaluation, int evaluations) {

		static Head of(HeadConfig config) {
			double width = config.hiddenSize();
			double square = width * width;
			double latent = config.latentSize();
			if (config instanceof EnergyConfig energy) {
				// of the six matrices of a block one sees the hidden state
				return new Head(square + config.blocks() * square,
						energy.noiseSize() * width + config.blocks() * 5 * square + square + width * latent, 1);
			}
			double output = (config instanceof DiffusionConfig) ? 2 * latent : latent;
			// a block has two matrices and three for its modulation, which depends on
			// time
			double evaluation = latent * width + config.blocks() * 5 * square + 2 * square + width * output;
			int steps = (config instanceof FlowConfig flow)
					? flow.steps() * ((flow.solver() == Solver.MIDPOINT) ? 2 : 1) : ((DiffusionConfig) config).steps();
			return new Head(square, evaluation, steps);
		}

	}

}

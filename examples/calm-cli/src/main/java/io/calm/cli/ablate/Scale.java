package io.calm.cli.ablate;

import io.calm.input.InvalidInputException;

/**
 * How large the models of a study are and how long they train.
 *
 * @param preset of the language models
 * @param patchSize K, where the study does not vary it
 * @param latentSize l, likewise
 * @param autoencoderSize D
 * @param autoencoderShare steps of the autoencoder for each step of the language model
 * @param batch sequences per step
 * @param block tokens per sequence
 * @param learningRate the greatest
 * @param steps of the first arm; 0 for as many as the minutes allow
 * @param minutes for all arms together
 * @param equalFlops whether arms train for equal operations, not for equal steps
 * @param positions the most that are scored
 * @param seed of everything random
 */
public record Scale(String preset, int patchSize, int latentSize, int autoencoderSize, double autoencoderShare,
		int batch, int block, double learningRate, long steps, double minutes, boolean equalFlops, long positions,
		long seed) {

	/** Checks what no configuration checks. */
	public Scale {
		if (steps < 0) {
			throw new InvalidInputException("--steps", "is " + steps, "choose at least 1");
		}
		if (positions < 1) {
			throw new InvalidInputException("--positions", "is " + positions, "choose at least 1");
		}
		if (!(autoencoderShare > 0 && autoencoderShare < Double.POSITIVE_INFINITY)) {
			throw new InvalidInputException("--autoencoder-share", "is " + autoencoderShare,
					"choose a positive number");
		}
		if (!(minutes > 0 && minutes < Double.POSITIVE_INFINITY)) {
			throw new InvalidInputException("--minutes", "is " + minutes, "choose a positive number");
		}
	}

	/** Steps of the autoencoder of a language model that takes so many. */
	long autoencoderSteps(long steps) {
		return Math.max(1, Math.round(this.autoencoderShare * steps));
	}

	/**
	 * P, patches per sequence.
	 * @param patchSize K
	 * @return the quotient
	 * @throws InvalidInputException if K does not divide the block
	 */
	int patches(int patchSize) {
		return patches(this.block, patchSize);
	}

	/**
	 * The inner width of an autoencoder, in the paper's proportion.
	 * @param width D
	 * @return F
	 */
	public static int intermediateSize(int width) {
		return width * 5 / 2;
	}

	/**
	 * Patches of a block.
	 * @param block tokens
	 * @param patchSize K; less than 1 is left to those who know patches
	 * @return P
	 * @throws InvalidInputException if K does not divide the block, or only once
	 */
	public static int patches(int block, int patchSize) {
		if (patchSize > 0 && (block % patchSize != 0 || block < 2 * patchSize)) {
			throw new InvalidInputException("--block " + block,
					"is not two or more whole patches of " + patchSize + " tokens",
					"choose a multiple, such as " + Math.max(2, block / patchSize) * patchSize);
		}
		return block / Math.max(1, patchSize);
	}

}

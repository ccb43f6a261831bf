package io.calm.training;

import io.calm.input.InvalidInputException;

/**
 * How a backbone learns that has been trained before, such as a Llama's: more slowly than
 * what is new around it, and not at all while that is of no use yet.
 *
 * @param share of the learning rate
 * @param frozenSteps the first steps, in which the backbone and the embeddings of tokens
 * stay as they are
 */
public record BackboneRate(double share, long frozenSteps) {

	/** The backbone learns as everything else does. */
	public static final BackboneRate SAME = new BackboneRate(1, 0);

	/** Refuses numbers that are out of range. */
	public BackboneRate {
		if (!(share >= 0 && share < Double.POSITIVE_INFINITY)) {
			throw new InvalidInputException("training, backbone rate", "is " + share,
					"choose a share of the learning rate, such as 0.3, or 0 for a backbone that stays as it is");
		}
		if (frozenSteps < 0) {
			throw new InvalidInputException("training, frozen steps", "is " + frozenSteps, "choose at least 0");
		}
	}

	double at(long step, double learningRate) {
		return (step <= this.frozenSteps) ? 0 : this.share * learningRate;
	}

}

package io.calm.generation;

import io.calm.input.InvalidInputException;
import io.calm.sampling.BatchSampler;
import io.calm.sampling.ExactSampler;
import io.calm.sampling.PatchSampler;

/**
 * How the next patch, or the baseline's next token, is chosen. What a model cannot do is
 * refused when it is asked for; what it has no need of is ignored.
 *
 * @param temperature T: in (0, 1] for CALM, in [0, 2] for the baseline, where 0 is the
 * most likely token
 * @param topK the choice is among this many: the patches drawn most often, or the most
 * likely tokens
 * @param topP the baseline's choice is among the fewest most likely tokens whose
 * probabilities sum up to this much, of the {@code topK} renormalised; in (0, 1], and 1
 * for CALM, which knows no probabilities
 * @param candidates N, draws of which CALM's batch sampler chooses one; at most 10000
 * @param exact whether CALM draws exactly from the tempered distribution (Algorithm 1)
 * instead of from a batch of candidates (Algorithm 2); the baseline always does
 */
public record Sampling(double temperature, int topK, double topP, int candidates, boolean exact) {

	/** The highest temperature of any model. */
	private static final double HOTTEST = 2;

	/** Of one patch: each takes memory for the logits of a vocabulary. */
	private static final int MOST_CANDIDATES = 10_000;

	/** Checks the numbers, as far as they are the same for all models. */
	public Sampling {
		if (!(temperature >= 0 && temperature <= HOTTEST)) {
			throw new InvalidInputException("temperature", "is " + temperature,
					"choose a number greater than 0 and at most 1, or, for a baseline, from 0 to 2");
		}
		if (topK < 1) {
			throw new InvalidInputException("top-k", "is " + topK, "choose at least 1");
		}
		if (!(topP > 0 && topP <= 1)) {
			throw new InvalidInputException("top-p", "is " + topP, "choose a number greater than 0 and at most 1");
		}
		if (candidates < 1 || candidates > MOST_CANDIDATES) {
			throw new InvalidInputException("candidates", "is " + candidates, "choose from 1 to " + MOST_CANDIDATES);
		}
	}

	/**
	 * How a CALM model samples.
	 * @return the sampler
	 * @throws InvalidInputException if such a model cannot do it
	 */
	PatchSampler ofPatches() {
		if (this.topP < 1) {
			throw new InvalidInputException("top-p", "is " + this.topP + ", and a CALM model knows no probabilities",
					"leave it out and choose a lower temperature, or top-k");
		}
		return this.exact ? new ExactSampler(this.temperature)
				: new BatchSampler(this.temperature, this.candidates, this.topK);
	}

	/** What logits are multiplied with; at T = 0 all but the greatest vanish. */
	float inverseTemperature() {
		return (float) Math.min(Float.MAX_VALUE, 1 / this.temperature);
	}

	/** Whether some tokens are ruled out, whatever they are drawn for. */
	boolean restricted(int vocabularySize) {
		return this.topK < vocabularySize || this.topP < 1;
	}

}

package io.calm.sampling;

import java.util.random.RandomGenerator;

/**
 * Draws patches at a temperature T: patch x with probability {@code P(x)^(1/T) / Z},
 * where {@code P} is the distribution of a source, {@code Z = sum_x P(x)^(1/T)}, and the
 * outcome is the whole patch. Samplers hold no state and may be shared by threads.
 */
public sealed interface PatchSampler permits ExactSampler, BatchSampler {

	/**
	 * The temperature that this sampler draws at.
	 * @return T, in (0, 1]
	 */
	double temperature();

	/**
	 * How many draws it asks its source for first: who can have them at hand by then
	 * saves a call.
	 * @return their number, at least 1
	 */
	int firstDraws();

	/**
	 * Whether a draw unlike all others is never chosen, except the first, and that only
	 * if all are unlike each other. A source may then leave such a patch undecoded, again
	 * except the first, and return numbers below 0 in place of its tokens, as long as
	 * these are unlike those of all others.
	 * @return true if only repeated draws need their tokens
	 */
	boolean ignoresUnrepeated();

	/**
	 * Chooses one patch from draws of a source.
	 * @param source draws patches at temperature 1; asked again and again for the same
	 * context
	 * @param random makes the sampler's own choices; independent of the source
	 * @return the patch and what it cost
	 */
	SampledPatch sample(PatchSource source, RandomGenerator random);

}

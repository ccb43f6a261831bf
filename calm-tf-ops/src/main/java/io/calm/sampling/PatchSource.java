package io.calm.sampling;

/**
 * The black box under a sampler: patches of a model after one given context, at
 * temperature 1.
 */
@FunctionalInterface
public interface PatchSource {

	/**
	 * Draws patches, independently of each other and of all drawn before. Samplers ask
	 * for many at once, so that one native call can serve them.
	 * @param count how many patches, n, at least 1
	 * @return the tokens of the patches one after the other, {@code [n * K]} for patches
	 * of K tokens, the same K in every call; samplers do not keep the array. Some may be
	 * missing where the sampler {@linkplain PatchSampler#ignoresUnrepeated() allows it}
	 */
	int[] draw(int count);

}

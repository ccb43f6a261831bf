package io.calm.sampling;

/**
 * A patch chosen by a sampler. Two records are equal only when they share their array.
 *
 * @param tokens the K tokens of the patch
 * @param draws how many draws of the source the choice rests on; the source may have been
 * asked for some more, which were thrown away
 * @param fellBack whether an exact sampler ran out of its budget and chose approximately;
 * never true of a batch sampler
 */
public record SampledPatch(int[] tokens, int draws, boolean fellBack) {
}

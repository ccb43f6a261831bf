package io.calm.sampling;

import java.util.Arrays;
import java.util.random.RandomGenerator;

import io.calm.input.InvalidInputException;

/**
 * Samples approximately at a fixed cost (Shao et al., arXiv 2510.27688, Algorithm 2, here
 * for any temperature in (0, 1]). It draws N patches and chooses among those that were
 * drawn at least {@code s = 1/T} times: one drawn c times with weight
 * {@code Gamma(c + 1) / Gamma(c - s + 1)}, which for a whole s is the number of ways to
 * pick s of its c draws. Where none was drawn so often, s - 1, s - 2, ... take the place
 * of s. As N grows, the distribution approaches {@code P(x)^(1/T) / Z}. A 1/T within 1e-9
 * of a whole number counts as that number. Patches drawn less than s times are no
 * candidates once another one is: where rare patches matter, as they do for T between 1/2
 * and 1, choose an N that is large enough for them to be drawn twice.
 * <p>
 * At T = 1 and without a restriction to the most frequent patches, the choice among N
 * draws is but a draw, and one draw is made.
 *
 * @param temperature T, in (0, 1]
 * @param candidates N, how many patches to draw, at least 1
 * @param topK to how many of the most frequent patches the choice is restricted, at least
 * 1, or {@link #ALL}; of patches drawn equally often, those that appeared first are kept
 */
public record BatchSampler(double temperature, int candidates, int topK) implements PatchSampler {

	/** The number of candidates where none is given, that of the paper's authors. */
	public static final int DEFAULT_CANDIDATES = 200;

	/** No restriction to the most frequent patches. */
	public static final int ALL = Integer.MAX_VALUE;

	/** Refuses numbers that are out of range. */
	public BatchSampler {
		Exponent.of(temperature);
		if (candidates < 1) {
			throw new InvalidInputException("candidates", "is " + candidates, "choose at least 1");
		}
		if (topK < 1) {
			throw new InvalidInputException("top-k", "is " + topK, "choose at least 1");
		}
	}

	/**
	 * A sampler that chooses among all candidates.
	 * @param temperature T, in (0, 1]
	 * @param candidates N, how many patches to draw, at least 1
	 */
	public BatchSampler(double temperature, int candidates) {
		this(temperature, candidates, ALL);
	}

	/**
	 * A sampler that chooses among {@value #DEFAULT_CANDIDATES} candidates.
	 * @param temperature T, in (0, 1]
	 */
	public BatchSampler(double temperature) {
		this(temperature, DEFAULT_CANDIDATES);
	}

	@Override
	public int firstDraws() {
		return (this.temperature == 1 && this.topK >= this.candidates) ? 1 : this.candidates;
	}

	@Override
	public boolean ignoresUnrepeated() {
		return this.temperature < 1;
	}

	@Override
	public SampledPatch sample(PatchSource source, RandomGenerator random) {
		Exponent exponent = Exponent.of(this.temperature);
		int draws = firstDraws();
		int[] tokens = source.draw(draws);
		PatchCounts counts = new PatchCounts(tokens, PatchCounts.patchSize(tokens, draws), draws);
		return new SampledPatch(choose(counts, exponent, this.topK, random), draws, false);
	}

	/** Chooses one of the patches counted. */
	static int[] choose(PatchCounts counts, Exponent exponent, int topK, RandomGenerator random) {
		if (counts.counts().length == counts.draws()) {
			// all unlike, so that the first is as good a choice as any
			return counts.patch(0);
		}
		double[] weights = weights(counts.counts(), exponent, topK);
		double rest = random.nextDouble() * Arrays.stream(weights).sum();
		int chosen = 0;
		for (int i = 0; i < weights.length && rest >= 0; i++) {
			// rounding may leave a rest after the last weight: never choose a zero for it
			if (weights[i] > 0) {
				chosen = i;
				rest -= weights[i];
			}
		}
		return counts.patch(chosen);
	}

	/**
	 * The weight of each patch by its count, that of the greatest count being 1. They
	 * follow from each other downwards, {@code w(c - 1) = w(c) (c - s) / c}, so that
	 * nothing overflows; weights below the range of numbers become 0.
	 */
	static double[] weights(int[] counts, Exponent exponent, int topK) {
		int greatest = Arrays.stream(counts).max().orElseThrow();
		double least = exponent.reachedBy(greatest);
		double[] weightOf = new double[greatest + 1];
		weightOf[greatest] = 1;
		for (int c = greatest; c - 1 >= least && weightOf[c] > 0; c--) {
			weightOf[c - 1] = weightOf[c] * (c - least) / c;
		}
		double[] weights = new double[counts.length];
		int rank = Math.min(topK, counts.length);
		int threshold = threshold(counts, rank);
		int ties = rank;
		for (int count : counts) {
			ties -= (count > threshold) ? 1 : 0;
		}
		for (int i = 0; i < counts.length; i++) {
			if (counts[i] > threshold || counts[i] == threshold && ties-- > 0) {
				weights[i] = weightOf[counts[i]];
			}
		}
		return weights;
	}

	/** The count of the patch of the given rank. */
	private static int threshold(int[] counts, int rank) {
		if (rank == counts.length) {
			return 0;
		}
		int[] sorted = counts.clone();
		Arrays.sort(sorted);
		return sorted[sorted.length - rank];
	}

}

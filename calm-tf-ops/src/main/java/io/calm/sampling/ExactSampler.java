package io.calm.sampling;

import java.util.random.RandomGenerator;

import io.calm.input.InvalidInputException;

/**
 * Samples exactly at any temperature in (0, 1] (Shao et al., arXiv 2510.27688, Algorithm
 * 1). With {@code n = floor(1/T)} and {@code a = 1/T - n} it draws n patches until all n
 * are the same, then keeps that patch with probability {@code P(x)^a} by a Bernoulli
 * factory, which draws until it meets the patch again and before each further draw, the
 * i-th, gives up with probability {@code a/i}. A 1/T within 1e-9 of a whole number counts
 * as that number.
 * <p>
 * The lower the temperature and the flatter the distribution, the more draws this takes:
 * see {@link #expectedDraws}. When the budget is spent, Algorithm 2 chooses among all
 * draws made so far, and the result says so; only the patches that did not fall back are
 * exact. The source is asked for 32 draws (n if that is more, one if T is 1), then for
 * batches that double up to 1024; each draw is used at most once and in order, and what
 * is left over is thrown away.
 *
 * @param temperature T, in (0, 1]
 * @param budget how many draws at most for one patch, at least 1
 */
public record ExactSampler(double temperature, int budget) implements PatchSampler {

	/** The budget of draws where none is given. */
	public static final int DEFAULT_BUDGET = 4096;

	private static final int FIRST_BATCH = 32;

	/** How far from 1 the sum of probabilities may be. */
	private static final double TOLERANCE = 1e-6;

	/** Refuses numbers that are out of range. */
	public ExactSampler {
		Exponent.of(temperature);
		if (budget < 1) {
			throw new InvalidInputException("budget of draws", "is " + budget, "choose at least 1");
		}
	}

	/**
	 * A sampler with a budget of {@value #DEFAULT_BUDGET} draws.
	 * @param temperature T, in (0, 1]
	 */
	public ExactSampler(double temperature) {
		this(temperature, DEFAULT_BUDGET);
	}

	@Override
	public int firstDraws() {
		return Math.min(this.budget, firstBatch(Exponent.of(this.temperature)));
	}

	@Override
	public SampledPatch sample(PatchSource source, RandomGenerator random) {
		Exponent exponent = Exponent.of(this.temperature);
		DrawnPatches draws = new DrawnPatches(source, this.budget, firstBatch(exponent));
		int accepted = accept(draws, exponent, random);
		if (accepted != DrawnPatches.NONE) {
			return new SampledPatch(draws.patch(accepted), draws.used(), false);
		}
		PatchCounts counts = draws.counts();
		return new SampledPatch(BatchSampler.choose(counts, exponent, BatchSampler.ALL, random), draws.used(), true);
	}

	@Override
	public boolean ignoresUnrepeated() {
		return false;
	}

	private static int firstBatch(Exponent exponent) {
		if (exponent.value() == 1) {
			return 1;
		}
		return (int) Math.max(FIRST_BATCH, Math.min(exponent.whole(), Integer.MAX_VALUE));
	}

	/** Repeats both stages until a draw is accepted or there are no more. */
	private static int accept(DrawnPatches draws, Exponent exponent, RandomGenerator random) {
		while (true) {
			int first = draws.next();
			int last = first;
			boolean agree = true;
			// to the end also where they differ: it is what Theorem 2 counts
			for (long i = 1; i < exponent.whole() && last != DrawnPatches.NONE; i++) {
				last = draws.next();
				agree = agree && last != DrawnPatches.NONE && draws.same(first, last);
			}
			if (last == DrawnPatches.NONE) {
				return DrawnPatches.NONE;
			}
			if (agree && exponent.fraction() == 0) {
				return first;
			}
			boolean kept = agree;
			for (long i = 1; kept; i++) {
				int draw = draws.next();
				if (draw == DrawnPatches.NONE || draws.same(first, draw)) {
					return (draw == DrawnPatches.NONE) ? draw : first;
				}
				kept = random.nextDouble() >= exponent.fraction() / i;
			}
		}
	}

	/**
	 * How many draws one patch takes on average, given an unlimited budget (Shao et al.,
	 * Theorem 2): {@code (n + 1{a>0} sum_x P(x)^(1/T-1)) / Z}. With the relative
	 * frequencies of some draws for {@code P}, it tells before sampling whether a budget
	 * is likely to do.
	 * @param probabilities of all patches that may be drawn; they sum to 1
	 * @param temperature T, in (0, 1]
	 * @return the expected number of draws, at least 1; infinity where it exceeds all
	 * numbers
	 */
	public static double expectedDraws(double[] probabilities, double temperature) {
		Exponent exponent = Exponent.of(temperature);
		double sum = 0;
		double normalizer = 0;
		double factory = 0;
		for (double probability : probabilities) {
			if (!(probability >= 0)) {
				throw new InvalidInputException("probabilities", "one of them is " + probability,
						"give the relative frequencies of patches");
			}
			if (probability > 0) {
				sum += probability;
				normalizer += Math.pow(probability, exponent.value());
				factory += Math.pow(probability, exponent.value() - 1);
			}
		}
		if (!(Math.abs(sum - 1) <= TOLERANCE)) {
			throw new InvalidInputException("probabilities", "sum to " + sum, "divide them by their sum");
		}
		return (exponent.whole() + ((exponent.fraction() > 0) ? factory : 0)) / normalizer;
	}

}

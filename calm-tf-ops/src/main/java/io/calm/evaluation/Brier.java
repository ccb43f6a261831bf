package io.calm.evaluation;

import java.util.Arrays;

/**
 * Collects the likelihood-free Brier score of a model, position by position. With two
 * independent samples {@code x1, x2} of the model after the true prefix and the true
 * continuation {@code y}, {@code 1{x1=y} + 1{x2=y} - 1{x1=x2}} is an unbiased estimate of
 * Brier-n, where "=" compares the first n tokens (Shao et al., arXiv 2510.27688, section
 * 4).
 * <p>
 * Standard errors come from a bootstrap that draws whole documents with replacement,
 * because positions of one document resemble each other; with fewer than 8 documents,
 * runs of positions take their place.
 * <p>
 * Memory: five numbers for each document. Not for use by several threads at once.
 */
public final class Brier {

	private static final int N = BrierScore.LENGTH;

	private final Bootstrap estimates = new Bootstrap(N);

	/**
	 * Adds a position where the model drew all tokens of a sample at once: the first four
	 * of each array count.
	 * @param document which document the position belongs to, any number that is the same
	 * for all its positions
	 * @param x1 a sample of the model
	 * @param x2 another one, independent of the first
	 * @param y the true continuation
	 */
	public void add(int document, int[] x1, int[] x2, int[] y) {
		add(document, x1, x2, y, N);
	}

	/**
	 * Adds a position where the model drew the second sample along the path of the first:
	 * each patch of both was drawn given the earlier patches of x1. As long as these are
	 * those of y, or of x2, that is a draw given the prefix of y, or of x2; so all three
	 * terms keep their expectation, and once the prefixes differ they are 0.
	 * @param document which document the position belongs to, any number that is the same
	 * for all its positions
	 * @param x1 a sample of the model, patch by patch; the first four tokens count
	 * @param x2 for each patch another draw, independent of the first
	 * @param y the true continuation
	 * @param patchSize K
	 */
	public void add(int document, int[] x1, int[] x2, int[] y, int patchSize) {
		add(document, estimate(x1, x2, y, patchSize));
	}

	/** Brier-1..4 of a single position. */
	static double[] estimate(int[] x1, int[] x2, int[] y, int patchSize) {
		double[] estimate = new double[N];
		boolean first = true;
		boolean second = true;
		boolean collision = true;
		for (int n = 0; n < N; n++) {
			if (n % patchSize == 0) {
				second = first;
			}
			first &= x1[n] == y[n];
			second &= x2[n] == y[n];
			collision &= x1[n] == x2[n];
			estimate[n] = (first ? 1 : 0) + (second ? 1 : 0) - (collision ? 1 : 0);
		}
		return estimate;
	}

	/** Adds a position whose Brier-1..4 were estimated otherwise. */
	void add(int document, double[] estimate) {
		this.estimates.add(document, estimate);
	}

	long positions() {
		return this.estimates.positions();
	}

	/**
	 * The score of all positions so far. The same positions in the same order give the
	 * same score and error.
	 * @return the score; all NaN when nothing was added
	 */
	public BrierScore score() {
		double[] brier = this.estimates.means();
		double[] errors = this.estimates.errors((means) -> {
			double[] statistics = Arrays.copyOf(means, N + 1);
			statistics[N] = BrierScore.brierLm(means);
			return statistics;
		});
		return new BrierScore(brier, BrierScore.brierLm(brier), errors[N], Arrays.copyOf(errors, N),
				this.estimates.positions());
	}

}

package io.calm.sampling;

import java.util.Arrays;
import java.util.Comparator;

/**
 * Pearson's test of counts against probabilities.
 *
 * @param statistic the sum of squared deviations
 * @param freedom degrees of freedom
 * @param p the probability of a greater statistic, were the probabilities true
 */
record ChiSquare(double statistic, int freedom, double p) {

	private static final double LEAST_EXPECTED = 5;

	/** Outcomes that are too rare for the test are taken together, the rarest first. */
	static ChiSquare test(long[] counts, double[] probabilities) {
		double trials = Arrays.stream(counts).sum();
		Integer[] order = new Integer[counts.length];
		Arrays.setAll(order, (i) -> i);
		Arrays.sort(order, Comparator.comparingDouble((i) -> probabilities[i]));
		double statistic = 0;
		int cells = 0;
		double expected = 0;
		double observed = 0;
		for (int i : order) {
			expected += trials * probabilities[i];
			observed += counts[i];
			if (expected >= LEAST_EXPECTED) {
				statistic += (observed - expected) * (observed - expected) / expected;
				cells++;
				expected = 0;
				observed = 0;
			}
		}
		return new ChiSquare(statistic, cells - 1, upperGamma((cells - 1) / 2.0, statistic / 2));
	}

	/** The regularized upper incomplete gamma function Q(a, x). */
	static double upperGamma(double a, double x) {
		if (x <= 0) {
			return 1;
		}
		double scale = Math.exp(a * Math.log(x) - x - logGamma(a));
		if (x < a + 1) {
			double term = 1 / a;
			double sum = term;
			for (int n = 1; term > 1e-16 * sum; n++) {
				term *= x / (a + n);
				sum += term;
			}
			return 1 - scale * sum;
		}
		// the continued fraction, by Lentz
		double b = x + 1 - a;
		double c = 1e300;
		double d = 1 / b;
		double h = d;
		for (int n = 1; n < 10_000; n++) {
			double an = -n * (n - a);
			b += 2;
			d = 1 / (an * d + b);
			c = b + an / c;
			h *= d * c;
			if (Math.abs(d * c - 1) < 1e-15) {
				break;
			}
		}
		return scale * h;
	}

	/** Stirling's series, after a shift to where it is precise. */
	static double logGamma(double x) {
		double shift = 0;
		double y = x;
		for (; y < 15; y++) {
			shift += Math.log(y);
		}
		double inverse = 1 / (y * y);
		double series = (1 / 12.0 - inverse * (1 / 360.0 - inverse * (1 / 1260.0 - inverse / 1680))) / y;
		return (y - 0.5) * Math.log(y) - y + 0.5 * Math.log(2 * Math.PI) + series - shift;
	}

}

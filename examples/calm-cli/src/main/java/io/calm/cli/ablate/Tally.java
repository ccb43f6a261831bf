package io.calm.cli.ablate;

import java.text.DecimalFormat;
import java.text.DecimalFormatSymbols;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

import io.calm.evaluation.BrierScore;
import io.calm.sampling.SampledPatch;

/**
 * What was sampled at one setting: how often it was right, and how often two samples were
 * the same.
 */
final class Tally {

	private static final int N = BrierScore.LENGTH;

	private static final DecimalFormat TWO_DIGITS = new DecimalFormat("0.##",
			DecimalFormatSymbols.getInstance(Locale.ROOT));

	private final double temperature;

	private final double[] right = new double[N];

	private final double[] same = new double[N];

	private double squares;

	private long draws;

	private long fellBack;

	private long positions;

	Tally(double temperature) {
		this.temperature = temperature;
	}

	void add(SampledPatch x1, SampledPatch x2, int[] truth) {
		double accuracy = 0;
		for (int n = 1; n <= N; n++) {
			double hits = (Arrays.equals(x1.tokens(), 0, n, truth, 0, n) ? 0.5 : 0)
					+ (Arrays.equals(x2.tokens(), 0, n, truth, 0, n) ? 0.5 : 0);
			this.right[n - 1] += hits;
			this.same[n - 1] += Arrays.equals(x1.tokens(), 0, n, x2.tokens(), 0, n) ? 1 : 0;
			accuracy += hits / N;
		}
		this.squares += accuracy * accuracy;
		this.draws += x1.draws() + x2.draws();
		this.fellBack += (x1.fellBack() ? 1 : 0) + (x2.fellBack() ? 1 : 0);
		this.positions++;
	}

	Point point(String series) {
		double accuracy = Arrays.stream(this.right).sum() / N / this.positions;
		double collisions = Arrays.stream(this.same).sum() / N / this.positions;
		double error = Math.sqrt(Math.max(0, this.squares / this.positions - accuracy * accuracy) / this.positions);
		Map<String, Double> more = new LinkedHashMap<>();
		more.put("temperature", this.temperature);
		for (int n = 1; n <= N; n++) {
			more.put("accuracy_" + n, this.right[n - 1] / this.positions);
			more.put("collisions_" + n, this.same[n - 1] / this.positions);
		}
		more.put("draws", this.draws / 2.0 / this.positions);
		more.put("fell_back", this.fellBack / 2.0 / this.positions);
		more.put("positions", (double) this.positions);
		return new Point(series, "T = " + TWO_DIGITS.format(this.temperature), collisions, accuracy, error, more);
	}

}

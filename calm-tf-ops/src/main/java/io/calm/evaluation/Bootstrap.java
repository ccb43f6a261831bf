package io.calm.evaluation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.UnaryOperator;

/**
 * Means over positions, and how much what is computed from them would differ on other
 * text. Its bootstrap draws whole documents with replacement, because positions of one
 * document resemble each other. With fewer than {@value #MIN_DOCUMENTS} documents that
 * says little; then contiguous runs of positions, in the order in which they were added,
 * take the place of documents: at least 32 runs, or one run for each position where there
 * are fewer. Not for use by several threads at once.
 */
final class Bootstrap {

	static final int MIN_DOCUMENTS = 8;

	private static final int REPLICATES = 1000;

	private static final int MAX_RUNS = 64;

	/** How many numbers each position has. */
	private final int size;

	/** Per document, the sums of the numbers and, last, the number of positions. */
	private final Map<Integer, double[]> documents = new LinkedHashMap<>();

	/** The same per run of {@code runLength} positions: at most MAX_RUNS of them. */
	private final List<double[]> runs = new ArrayList<>();

	private long runLength = 1;

	private long positions;

	Bootstrap(int size) {
		this.size = size;
	}

	void add(int document, double... values) {
		double[] counted = Arrays.copyOf(values, this.size + 1);
		counted[this.size] = 1;
		addTo(this.documents.computeIfAbsent(document, (key) -> new double[this.size + 1]), counted);
		if (this.positions++ % this.runLength == 0) {
			openRun();
		}
		addTo(this.runs.get(this.runs.size() - 1), counted);
	}

	/** The number of positions is unknown, so runs double in length when too many. */
	private void openRun() {
		if (this.runs.size() == MAX_RUNS) {
			for (int i = 0; i < MAX_RUNS / 2; i++) {
				double[] merged = this.runs.get(2 * i);
				addTo(merged, this.runs.get(2 * i + 1));
				this.runs.set(i, merged);
			}
			this.runs.subList(MAX_RUNS / 2, MAX_RUNS).clear();
			this.runLength *= 2;
		}
		this.runs.add(new double[this.size + 1]);
	}

	long positions() {
		return this.positions;
	}

	/** The mean of each number; NaN when nothing was added. */
	double[] means() {
		double[] total = new double[this.size + 1];
		this.documents.values().forEach((document) -> addTo(total, document));
		return means(total);
	}

	/**
	 * Standard errors.
	 * @param statistics computes from the means what is to be known the errors of
	 * @return an error for each; NaN when there is too little data to tell
	 */
	double[] errors(UnaryOperator<double[]> statistics) {
		List<double[]> groups = (this.documents.size() < MIN_DOCUMENTS) ? this.runs
				: List.copyOf(this.documents.values());
		SplittableRandom random = new SplittableRandom(0);
		double[] sum = {};
		double[] squares = {};
		for (int r = 0; r < REPLICATES; r++) {
			double[] total = new double[this.size + 1];
			for (int i = 0; i < groups.size(); i++) {
				addTo(total, groups.get(random.nextInt(groups.size())));
			}
			double[] values = statistics.apply(means(total));
			sum = (r == 0) ? new double[values.length] : sum;
			squares = (r == 0) ? new double[values.length] : squares;
			for (int n = 0; n < values.length; n++) {
				sum[n] += values[n];
				squares[n] += values[n] * values[n];
			}
		}
		double[] errors = new double[sum.length];
		for (int n = 0; n < errors.length; n++) {
			double variance = (squares[n] - sum[n] * sum[n] / REPLICATES) / (REPLICATES - 1);
			errors[n] = (groups.size() < 2) ? Double.NaN : Math.sqrt(Math.max(0, variance));
		}
		return errors;
	}

	private double[] means(double[] total) {
		double[] means = new double[this.size];
		for (int n = 0; n < this.size; n++) {
			means[n] = total[n] / total[this.size];
		}
		return means;
	}

	private static void addTo(double[] sums, double[] more) {
		for (int n = 0; n < sums.length; n++) {
			sums[n] += more[n];
		}
	}

}

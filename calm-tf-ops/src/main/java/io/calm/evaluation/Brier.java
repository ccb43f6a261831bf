package io.calm.evaluation;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;

/**
 * Collects the likelihood-free Brier score of a model, position by position. With two
 * independent samples {@code x1, x2} of the model after the true prefix and the true
 * continuation {@code y}, {@code 1{x1=y} + 1{x2=y} - 1{x1=x2}} is an unbiased estimate of
 * Brier-n, where "=" compares the first n tokens (Shao et al., arXiv 2510.27688, section
 * 4).
 * <p>
 * Standard errors come from a bootstrap that draws whole documents with replacement,
 * because positions of one document resemble each other. With fewer than
 * {@value #MIN_DOCUMENTS} documents that says little; then contiguous runs of positions,
 * in the order in which they were added, take the place of documents: at least 32 runs,
 * or one run for each position where there are fewer.
 * <p>
 * Memory: five numbers for each document. Not for use by several threads at once.
 */
public final class Brier {

	static final int MIN_DOCUMENTS = 8;

	private static final int REPLICATES = 1000;

	private static final int MAX_RUNS = 64;

	private static final int N = BrierScore.LENGTH;

	/** Per document, the sums of the N estimates and the number of positions. */
	private final Map<Integer, double[]> documents = new LinkedHashMap<>();

	/** The same per run of {@code runLength} positions: at most MAX_RUNS of them. */
	private final List<double[]> runs = new ArrayList<>();

	private long runLength = 1;

	private long positions;

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
		double[] estimate = new double[N + 1];
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
		estimate[N] = 1;
		addTo(this.documents.computeIfAbsent(document, (key) -> new double[N + 1]), estimate);
		if (this.positions++ % this.runLength == 0) {
			openRun();
		}
		addTo(this.runs.get(this.runs.size() - 1), estimate);
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
		this.runs.add(new double[N + 1]);
	}

	/**
	 * The score of all positions so far. The same positions in the same order give the
	 * same score and error.
	 * @return the score; all NaN when nothing was added
	 */
	public BrierScore score() {
		double[] total = new double[N + 1];
		this.documents.values().forEach((document) -> addTo(total, document));
		double[] brier = means(total);
		double[] errors = bootstrap(
				(this.documents.size() < MIN_DOCUMENTS) ? this.runs : List.copyOf(this.documents.values()));
		double[] brierErrors = Arrays.copyOf(errors, N);
		return new BrierScore(brier, BrierScore.brierLm(brier), errors[N], brierErrors, this.positions);
	}

	/** Standard errors of Brier-1..4 and, last, of BrierLM. */
	private static double[] bootstrap(List<double[]> groups) {
		SplittableRandom random = new SplittableRandom(0);
		double[] sum = new double[N + 1];
		double[] squares = new double[N + 1];
		for (int r = 0; r < REPLICATES; r++) {
			double[] total = new double[N + 1];
			for (int i = 0; i < groups.size(); i++) {
				addTo(total, groups.get(random.nextInt(groups.size())));
			}
			double[] brier = means(total);
			for (int n = 0; n <= N; n++) {
				double value = (n < N) ? brier[n] : BrierScore.brierLm(brier);
				sum[n] += value;
				squares[n] += value * value;
			}
		}
		double[] errors = new double[N + 1];
		for (int n = 0; n <= N; n++) {
			double variance = (squares[n] - sum[n] * sum[n] / REPLICATES) / (REPLICATES - 1);
			errors[n] = (groups.size() < 2) ? Double.NaN : Math.sqrt(Math.max(0, variance));
		}
		return errors;
	}

	private static double[] means(double[] total) {
		double[] means = new double[N];
		for (int n = 0; n < N; n++) {
			means[n] = total[n] / total[N];
		}
		return means;
	}

	private static void addTo(double[] sums, double[] more) {
		for (int n = 0; n < sums.length; n++) {
			sums[n] += more[n];
		}
	}

}

package io.calm.evaluation;

import java.util.Arrays;
import java.util.SplittableRandom;

import io.calm.input.InvalidInputException;

/**
 * A random Markov chain over tokens, of which the best score that any model can reach is
 * known in closed form. It tells how far from perfect a configuration is: text hides
 * that, because nobody knows the entropy of English.
 * <p>
 * Every token has the same number of distinct successors. One of them lies on a random
 * cycle through all tokens, so that the chain is irreducible; drawn freely, three of 64
 * tokens would have no predecessor. The weights of the successors are log-uniform,
 * {@code exp(u), u ~ U(0, 4.25)}, then normalised: uniform weights make a source too
 * random to tell models apart (BrierLM 12 for 64 tokens with 3 successors), heavier tails
 * make one that is nearly a cycle. As it is, the median of the ideal BrierLM of such
 * sources is 21 and nine in ten lie between 17 and 28.
 */
public final class MarkovSource {

	private static final double LOG_WEIGHT_RANGE = 4.25;

	private static final double TOLERANCE = 1e-14;

	private static final int MAX_ITERATIONS = 1_000_000;

	private final int states;

	private final int successors;

	/** Row s holds the successors of token s. */
	private final int[] next;

	private final double[] probability;

	/** Running sums of a row's probabilities, the last one 1. */
	private final double[] cumulative;

	private final double[] stationary;

	private MarkovSource(int states, int successors, int[] next, double[] probability) {
		this.states = states;
		this.successors = successors;
		this.next = next;
		this.probability = probability;
		this.cumulative = new double[probability.length];
		for (int s = 0; s < states; s++) {
			cumulate(probability, this.cumulative, s * successors, (s + 1) * successors);
		}
		this.stationary = solveStationary();
	}

	/**
	 * Draws a source with random successors and probabilities.
	 * @param states the number of tokens, at least 2
	 * @param successors how many tokens may follow each token, 1 to {@code states}
	 * @param seed the same seed gives the same source, on every machine
	 * @return the source
	 * @throws InvalidInputException if the numbers do not fit
	 */
	public static MarkovSource random(int states, int successors, long seed) {
		if (states < 2) {
			throw new InvalidInputException("Markov source", states + " states", "ask for at least 2");
		}
		if (successors < 1 || successors > states) {
			throw new InvalidInputException("Markov source", successors + " successors for " + states + " states",
					"ask for 1 to " + states);
		}
		SplittableRandom random = new SplittableRandom(seed);
		int[] cycle = shuffled(states, random);
		int[] next = new int[states * successors];
		double[] probability = new double[next.length];
		for (int i = 0; i < states; i++) {
			int row = cycle[i] * successors;
			int onCycle = cycle[(i + 1) % states];
			next[row] = onCycle;
			int filled = 1;
			for (int candidate : shuffled(states, random)) {
				if (filled < successors && candidate != onCycle) {
					next[row + filled++] = candidate;
				}
			}
			double sum = 0;
			for (int k = row; k < row + successors; k++) {
				probability[k] = Math.exp(LOG_WEIGHT_RANGE * random.nextDouble());
				sum += probability[k];
			}
			for (int k = row; k < row + successors; k++) {
				probability[k] /= sum;
			}
		}
		return new MarkovSource(states, successors, next, probability);
	}

	private static int[] shuffled(int n, SplittableRandom random) {
		int[] order = new int[n];
		for (int i = 0; i < n; i++) {
			int j = random.nextInt(i + 1);
			order[i] = order[j];
			order[j] = i;
		}
		return order;
	}

	private static void cumulate(double[] values, double[] sums, int from, int to) {
		double sum = 0;
		for (int i = from; i < to; i++) {
			sum += values[i];
			sums[i] = sum;
		}
		sums[to - 1] = 1;
	}

	/**
	 * Power iteration on the lazy chain {@code (I + P)/2}: same stationary distribution,
	 * and never periodic.
	 */
	private double[] solveStationary() {
		double[] current = new double[this.states];
		Arrays.fill(current, 1.0 / this.states);
		for (int iteration = 0; iteration < MAX_ITERATIONS; iteration++) {
			double[] stepped = new double[this.states];
			for (int s = 0; s < this.states; s++) {
				stepped[s] += current[s] / 2;
				for (int k = s * this.successors; k < (s + 1) * this.successors; k++) {
					stepped[this.next[k]] += current[s] * this.probability[k] / 2;
				}
			}
			double sum = Arrays.stream(stepped).sum();
			double change = 0;
			for (int s = 0; s < this.states; s++) {
				stepped[s] /= sum;
				change += Math.abs(stepped[s] - current[s]);
			}
			current = stepped;
			if (change < TOLERANCE) {
				return current;
			}
		}
		throw new IllegalStateException("The stationary distribution did not converge");
	}

	/**
	 * The number of tokens; they are {@code 0 … states-1}.
	 * @return the number of tokens
	 */
	public int states() {
		return this.states;
	}

	/**
	 * Draws a sequence that starts in the stationary distribution, so that all its
	 * positions are alike.
	 * @param length how many tokens
	 * @param seed the same seed gives the same sequence
	 * @return the tokens
	 */
	public int[] sample(int length, long seed) {
		SplittableRandom random = new SplittableRandom(seed);
		int[] tokens = new int[length];
		if (length > 0) {
			double[] sums = new double[this.states];
			cumulate(this.stationary, sums, 0, this.states);
			tokens[0] = search(sums, 0, this.states, random);
		}
		for (int i = 1; i < length; i++) {
			tokens[i] = next(tokens[i - 1], random);
		}
		return tokens;
	}

	/** Draws what follows a token. */
	int next(int token, SplittableRandom random) {
		int from = token * this.successors;
		return this.next[search(this.cumulative, from, from + this.successors, random)];
	}

	/** The first entry above a uniform number in [0, 1): the last entry always is. */
	private static int search(double[] sums, int from, int to, SplittableRandom random) {
		int found = Arrays.binarySearch(sums, from, to - 1, random.nextDouble());
		return (found < 0) ? -found - 1 : found + 1;
	}

	/**
	 * The probability of each token at any position.
	 * @return a copy of the stationary distribution
	 */
	public double[] stationary() {
		return this.stationary.clone();
	}

	/**
	 * Brier-1..n of a perfect model: one whose samples follow the true distribution of
	 * the next n tokens given the last one. Its three draws are then alike and the
	 * expected estimate is the probability that two of them agree,
	 * {@code Σ_path p(path|s)²}, which is {@code (Qⁿ 1)_s} with {@code Q = P∘P}; the mean
	 * over s is weighted with the stationary distribution.
	 * @param n the length of the longest n-gram
	 * @return Brier-1 to Brier-n, each in (0, 1]
	 */
	public double[] idealBrier(int n) {
		double[] agree = new double[this.states];
		Arrays.fill(agree, 1);
		double[] brier = new double[n];
		for (int i = 0; i < n; i++) {
			double[] longer = new double[this.states];
			for (int s = 0; s < this.states; s++) {
				for (int k = s * this.successors; k < (s + 1) * this.successors; k++) {
					longer[s] += this.probability[k] * this.probability[k] * agree[this.next[k]];
				}
				brier[i] += this.stationary[s] * longer[s];
			}
			agree = longer;
		}
		return brier;
	}

	/**
	 * Cross entropy of a perfect model: the entropy of a token given the one before it.
	 * @return nats per token
	 */
	public double entropy() {
		double entropy = 0;
		for (int k = 0; k < this.probability.length; k++) {
			entropy -= this.stationary[k / this.successors] * this.probability[k] * Math.log(this.probability[k]);
		}
		return entropy;
	}

	/**
	 * BrierLM of a perfect model.
	 * @return {@code 100 (Brier-1 Brier-2 Brier-3 Brier-4)^(1/4)} of {@link #idealBrier}
	 */
	public double idealBrierLm() {
		return BrierScore.brierLm(idealBrier(BrierScore.LENGTH));
	}

}

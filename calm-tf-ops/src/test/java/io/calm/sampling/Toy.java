package io.calm.sampling;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;

/**
 * A known distribution over patches of three tokens. Its probabilities are multiples of
 * 2^-16, so that a table look-up draws from it exactly and fast.
 */
final class Toy {

	static final Toy UNIFORM_ISH = new Toy("five about equal", 0.18, 0.19, 0.2, 0.21, 0.22);

	static final Toy ZIPF = new Toy("Zipf over 20", IntStream.rangeClosed(1, 20).mapToDouble((i) -> 1.0 / i).toArray());

	static final Toy DOMINANT = new Toy("one dominant", 0.4, 0.12, 0.1, 0.09, 0.08, 0.06, 0.05, 0.04, 0.03, 0.02, 0.01);

	static final List<Toy> ALL = List.of(UNIFORM_ISH, ZIPF, DOMINANT);

	private static final int SLOTS = 1 << 16;

	private final String name;

	private final byte[] table = new byte[SLOTS];

	private final double[] probabilities;

	private Toy(String name, double... weights) {
		this.name = name;
		this.probabilities = new double[weights.length];
		double sum = Arrays.stream(weights).sum();
		double cumulative = 0;
		int slot = 0;
		for (int outcome = 0; outcome < weights.length; outcome++) {
			cumulative += weights[outcome] / sum;
			for (int end = (int) Math.round(cumulative * SLOTS); slot < end; slot++) {
				this.table[slot] = (byte) outcome;
				this.probabilities[outcome] += 1.0 / SLOTS;
			}
		}
	}

	double[] probabilities() {
		return this.probabilities;
	}

	/** P^(1/T) / Z. */
	double[] tempered(double temperature) {
		double[] powers = Arrays.stream(this.probabilities).map((p) -> Math.pow(p, 1 / temperature)).toArray();
		double normalizer = Arrays.stream(powers).sum();
		return Arrays.stream(powers).map((power) -> power / normalizer).toArray();
	}

	PatchSource source(long seed) {
		SplittableRandom random = new SplittableRandom(seed);
		return (count) -> {
			int[] tokens = new int[3 * count];
			for (int i = 0; i < tokens.length; i += 3) {
				int outcome = this.table[random.nextInt() >>> 16];
				tokens[i] = 7;
				tokens[i + 1] = outcome >> 2;
				tokens[i + 2] = outcome & 3;
			}
			return tokens;
		};
	}

	static int outcome(int[] tokens) {
		return tokens[1] << 2 | tokens[2];
	}

	@Override
	public String toString() {
		return this.name;
	}

}

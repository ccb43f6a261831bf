package io.calm.sampling;

import io.calm.input.InvalidInputException;

/**
 * The power 1/T to which a temperature raises probabilities, in its two parts.
 *
 * @param whole n = floor(1/T), at least 1
 * @param fraction a = 1/T - n, in [0, 1)
 */
record Exponent(long whole, double fraction) {

	private static final double TOLERANCE = 1e-9;

	/** 1/T of T = 1/n seldom is n in floating point: what is this close becomes n. */
	static Exponent of(double temperature) {
		if (!(temperature > 0 && temperature <= 1)) {
			throw new InvalidInputException("temperature", "is " + temperature,
					"choose a value above 0 and up to 1, where 1 leaves the model as it is");
		}
		double inverse = 1 / temperature;
		double nearest = Math.rint(inverse);
		// the second half is for infinity
		if (Math.abs(inverse - nearest) <= TOLERANCE || inverse == nearest) {
			return new Exponent((long) nearest, 0);
		}
		double whole = Math.floor(inverse);
		return new Exponent((long) whole, inverse - whole);
	}

	double value() {
		return this.whole + this.fraction;
	}

	/** The greatest of 1/T, 1/T - 1, 1/T - 2, ... that is at most the given count. */
	double reachedBy(int count) {
		return Math.min(this.whole, (this.fraction == 0) ? count : count - 1) + this.fraction;
	}

}

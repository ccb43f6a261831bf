package io.calm.cli.sweep;

import io.calm.input.InvalidInputException;

/**
 * Successive halving: all trials get a part of the operations, the better ones go on with
 * more.
 *
 * @param rungs how often trials are compared; 1 trains all to the end
 * @param factor of the operations from one rung to the next, and of the trials that stop
 */
public record Halving(int rungs, int factor) {

	/** All trials train to the end. */
	public static final Halving NONE = new Halving(1, 2);

	/** Refuses numbers that are out of range. */
	public Halving {
		if (rungs < 1) {
			throw new InvalidInputException("halving, rungs", "is " + rungs, "choose at least 2");
		}
		if (factor < 2) {
			throw new InvalidInputException("halving, factor", "is " + factor, "choose at least 2");
		}
	}

	/**
	 * As many rungs as leave one trial.
	 * @param trials how many begin
	 * @param factor of the operations from one rung to the next
	 * @param steps of a whole training
	 * @param minimumSteps of the first rung
	 * @return the halving
	 */
	public static Halving of(int trials, int factor, long steps, long minimumSteps) {
		int rungs = new Halving(1, factor).rungs;
		long left = trials;
		double first = steps;
		while (left > 1 && first / factor >= minimumSteps) {
			left = (left + factor - 1) / factor;
			first /= factor;
			rungs++;
		}
		return new Halving(rungs, factor);
	}

	/**
	 * The share of a whole training that ends with a rung.
	 * @param rung from 0
	 * @return one of how many parts
	 */
	public long part(int rung) {
		return Math.round(Math.pow(this.factor, this.rungs - 1.0 - rung));
	}

	/**
	 * After which step a rung ends.
	 * @param steps of a whole training
	 * @param rung from 0
	 * @return all of them for the last rung
	 */
	long lastStep(long steps, int rung) {
		return Math.max(1, Math.round((double) steps / part(rung)));
	}

	/**
	 * How many trials go on.
	 * @param trials that were compared
	 * @return at least one
	 */
	public int goOn(int trials) {
		return (trials + this.factor - 1) / this.factor;
	}

}

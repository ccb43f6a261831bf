package io.calm.training;

import io.calm.input.InvalidInputException;

/**
 * How large the steps of a training are: the rate rises from 0, and falls towards the
 * end.
 *
 * @param greatest the greatest rate
 * @param warmup steps over which it rises, in a straight line
 * @param decay what it does afterwards
 */
public record LearningRate(double greatest, long warmup, Decay decay) {

	/** The rate at the end of a decay, as a share of the greatest. */
	private static final double LAST = 0.1;

	/** The share of a training in which {@link Decay#LATE} lets the rate fall. */
	private static final double LATE_PART = 0.2;

	/** What the learning rate does after the warm-up. */
	public enum Decay {

		/** The rate stays the greatest. */
		CONSTANT {
			@Override
			double at(double progress) {
				return 1;
			}
		},
		/** It falls to a tenth in a straight line. */
		LINEAR {
			@Override
			double at(double progress) {
				return 1 - (1 - LAST) * progress;
			}
		},
		/** It falls to a tenth along a half cosine. */
		COSINE {
			@Override
			double at(double progress) {
				return LAST + (1 - LAST) / 2 * (1 + Math.cos(Math.PI * progress));
			}
		},
		/**
		 * It stays for four fifths, then falls to a tenth in a straight line
		 * (warmup-stable-decay): a training that is made longer later has lost nothing.
		 */
		LATE {
			@Override
			double at(double progress) {
				return LINEAR.at(Math.max(0, (progress - (1 - LATE_PART)) / LATE_PART));
			}
		};

		/**
		 * The rate as a share of the greatest.
		 * @param progress from 0, the end of the warm-up, to 1
		 */
		abstract double at(double progress);

	}

	/** Refuses numbers that are out of range. */
	public LearningRate {
		if (!(greatest > 0 && greatest < Double.POSITIVE_INFINITY)) {
			throw new InvalidInputException("training, learning rate", "is " + greatest,
					"choose a positive number, such as 0.0003");
		}
		if (warmup < 0) {
			throw new InvalidInputException("training, warmup", "is " + warmup, "choose at least 0");
		}
	}

	/**
	 * The rate of a step.
	 * @param step counted from 1
	 * @param steps of the whole training; later steps keep its last rate
	 * @return the rate
	 */
	public double at(long step, long steps) {
		if (step <= this.warmup) {
			return this.greatest * step / this.warmup;
		}
		if (steps <= this.warmup) {
			return this.greatest;
		}
		double progress = (double) (step - this.warmup) / (steps - this.warmup);
		return this.greatest * this.decay.at(Math.min(1, progress));
	}

}

package io.calm.head;

import java.util.Arrays;
import java.util.function.IntToDoubleFunction;

import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * How much noise each step of a diffusion adds: {@code x_i = √ᾱ_i·z + √(1 − ᾱ_i)·ε}, with
 * {@code ᾱ_i = Π_{j ≤ i} (1 − β_j)}. Steps are counted from 0.
 */
final class NoiseSchedule {

	/** So that the last step of the cosine schedule is not infinite. */
	private static final double GREATEST_BETA = 0.999;

	private final int[] times;

	private final double[] alphaBars;

	private NoiseSchedule(int[] times, double[] alphaBars) {
		this.times = times;
		this.alphaBars = alphaBars;
	}

	/**
	 * The cosine schedule of improved DDPM (Nichol and Dhariwal, arXiv 2102.09672):
	 * {@code ᾱ(t) = cos²(π/2 · (t + 0.008) / 1.008)}, with β at most 0.999.
	 * @param steps how many
	 * @return the schedule
	 */
	static NoiseSchedule cosine(int steps) {
		int[] times = new int[steps];
		double[] alphaBars = new double[steps];
		double alphaBar = 1;
		for (int i = 0; i < steps; i++) {
			double beta = 1 - squaredCosine((i + 1.0) / steps) / squaredCosine((double) i / steps);
			alphaBar *= 1 - Math.min(beta, GREATEST_BETA);
			times[i] = i;
			alphaBars[i] = alphaBar;
		}
		return new NoiseSchedule(times, alphaBars);
	}

	private static double squaredCosine(double t) {
		return Math.pow(Math.cos((t + 0.008) / 1.008 * Math.PI / 2), 2);
	}

	/**
	 * The schedule with fewer, larger steps: some of these, evenly spaced, with the noise
	 * that they have here.
	 * @param steps how many, at least 2: the first and the last are among them
	 * @return the schedule
	 */
	NoiseSchedule respaced(int steps) {
		int[] chosen = new int[steps];
		Arrays.setAll(chosen, (i) -> (int) Math.rint(i * (steps() - 1.0) / (steps - 1)));
		return new NoiseSchedule(Arrays.stream(chosen).map((i) -> this.times[i]).toArray(),
				Arrays.stream(chosen).mapToDouble((i) -> this.alphaBars[i]).toArray());
	}

	int steps() {
		return this.times.length;
	}

	/** The time of a step, the same in a respaced schedule. */
	int time(int step) {
		return this.times[step];
	}

	/** The share of {@code z} in the variance of {@code x}. */
	double alphaBar(int step) {
		return (step < 0) ? 1 : this.alphaBars[step];
	}

	/** The share of new noise in a step. */
	double beta(int step) {
		return 1 - alphaBar(step) / alphaBar(step - 1);
	}

	/** The weight of {@code z} in the mean of the step back to {@code x_{i-1}}. */
	double latentsWeight(int step) {
		return beta(step) * Math.sqrt(alphaBar(step - 1)) / (1 - alphaBar(step));
	}

	/** The weight of {@code x_i} in the mean of the step back to {@code x_{i-1}}. */
	double pointWeight(int step) {
		return (1 - alphaBar(step - 1)) * Math.sqrt(1 - beta(step)) / (1 - alphaBar(step));
	}

	/**
	 * The weight of {@code ε} in the same mean, {@code x_i/√(1 − β) − weight·ε}.
	 */
	double noiseWeight(int step) {
		return beta(step) / Math.sqrt((1 - beta(step)) * (1 - alphaBar(step)));
	}

	/** The log of the greatest variance that the step back can have, β. */
	double greatestLogVariance(int step) {
		return Math.log(beta(step));
	}

	/**
	 * The log of the least variance that the step back can have, that of {@code x_{i-1}}
	 * given {@code x_i} and {@code z}: {@code β·(1 − ᾱ_{i-1})/(1 − ᾱ_i)}. At step 0 it is
	 * 0; that of step 1 stands for it.
	 */
	double leastLogVariance(int step) {
		int real = Math.max(1, step);
		return Math.log(beta(real) * (1 - alphaBar(real - 1)) / (1 - alphaBar(real)));
	}

	/**
	 * A number of each of some steps.
	 * @param tf where to build
	 * @param steps {@code [...]}
	 * @param value of a step
	 * @return {@code [..., 1]}
	 */
	Operand<TFloat32> at(Ops tf, Operand<TInt32> steps, IntToDoubleFunction value) {
		float[] table = new float[steps()];
		for (int step = 0; step < table.length; step++) {
			table[step] = (float) value.applyAsDouble(step);
		}
		return tf.expandDims(tf.gather(tf.constant(table), steps, tf.constant(0)), tf.constant(-1));
	}

}

package io.calm.head;

import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The variational bound of a diffusion, a term for each step (Nichol and Dhariwal, arXiv
 * 2102.09672, equation 4): how far the step back, a normal distribution with the learned
 * variance, is from the true one; at the first step, how unlikely it makes the data.
 */
final class VariationalBound {

	/**
	 * The first step's likelihood is that of an interval of this half width, as of one of
	 * 256 levels in [-1, 1], and of all beyond ±1 at its ends. Latent vectors know no
	 * levels; the reference has kept this from images, it is one step of a thousand, and
	 * models trained there and here are to have the same loss.
	 */
	private static final float HALF_LEVEL = 1f / 255;

	private static final float END = 0.999f;

	private static final float LEAST_PROBABILITY = 1e-12f;

	private final Ops tf;

	private VariationalBound(Ops tf) {
		this.tf = tf;
	}

	/**
	 * The terms of some steps.
	 * @param tf where to build
	 * @param schedule of the diffusion
	 * @param steps {@code [R, N]}
	 * @param latents z, {@code [R, N, l]}
	 * @param error the predicted noise less the true one, {@code [R, N, l]}
	 * @param varianceShare where the log of the variance lies between its least, 0, and
	 * its greatest, 1, {@code [R, N, l]}
	 * @return {@code [R, N, l]}, in nats
	 */
	static Operand<TFloat32> of(Ops tf, NoiseSchedule schedule, Operand<TInt32> steps, Operand<TFloat32> latents,
			Operand<TFloat32> error, Operand<TFloat32> varianceShare) {
		Operand<TFloat32> least = schedule.at(tf, steps, schedule::leastLogVariance);
		Operand<TFloat32> range = schedule.at(tf, steps,
				(step) -> schedule.greatestLogVariance(step) - schedule.leastLogVariance(step));
		// the true mean less the predicted one; at step 0 the true mean is z
		Operand<TFloat32> difference = tf.math.mul(error, schedule.at(tf, steps, schedule::noiseWeight));
		// log σ² less the least
		Operand<TFloat32> above = tf.math.mul(varianceShare, range);
		VariationalBound bound = new VariationalBound(tf);
		Operand<TBool> first = tf.math.equal(tf.expandDims(steps, tf.constant(-1)), tf.constant(0)); // [R,N,1]
		return tf.select(first, tf.math.neg(bound.logLikelihood(latents, difference, tf.math.add(least, above))),
				bound.divergence(difference, least, above));
	}

	/**
	 * The divergence of the true step back, which has the least variance, from the
	 * predicted one: {@code ½(log σ² − least − 1 + e^least/σ² + difference²/σ²)}.
	 */
	private Operand<TFloat32> divergence(Operand<TFloat32> difference, Operand<TFloat32> least,
			Operand<TFloat32> above) {
		Operand<TFloat32> ratio = this.tf.math.exp(this.tf.math.neg(above));
		Operand<TFloat32> distance = this.tf.math.mul(this.tf.math.square(difference),
				this.tf.math.exp(this.tf.math.neg(this.tf.math.add(least, above))));
		Operand<TFloat32> sum = this.tf.math.add(this.tf.math.add(this.tf.math.sub(above, this.tf.constant(1f)), ratio),
				distance);
		return this.tf.math.mul(sum, this.tf.constant(0.5f));
	}

	/** The log of the probability of the interval around the data. */
	private Operand<TFloat32> logLikelihood(Operand<TFloat32> latents, Operand<TFloat32> difference,
			Operand<TFloat32> logVariance) {
		Operand<TFloat32> precision = this.tf.math.exp(this.tf.math.mul(logVariance, this.tf.constant(-0.5f)));
		Operand<TFloat32> toEnd = cumulative(
				this.tf.math.mul(this.tf.math.add(difference, this.tf.constant(HALF_LEVEL)), precision));
		Operand<TFloat32> toBegin = cumulative(
				this.tf.math.mul(this.tf.math.sub(difference, this.tf.constant(HALF_LEVEL)), precision));
		Operand<TFloat32> atOrAboveLowest = this.tf.select(this.tf.math.greater(latents, this.tf.constant(END)),
				this.tf.math.sub(this.tf.constant(1f), toBegin), this.tf.math.sub(toEnd, toBegin));
		Operand<TFloat32> probability = this.tf.select(this.tf.math.less(latents, this.tf.constant(-END)), toEnd,
				atOrAboveLowest);
		return this.tf.math.log(this.tf.math.maximum(probability, this.tf.constant(LEAST_PROBABILITY)));
	}

	/**
	 * The standard normal distribution function, nearly:
	 * {@code ½(1 + tanh(√(2/π)·(x + 0.044715·x³)))}.
	 */
	private Operand<TFloat32> cumulative(Operand<TFloat32> x) {
		Operand<TFloat32> cube = this.tf.math.mul(this.tf.math.mul(x, this.tf.math.square(x)),
				this.tf.constant(0.044715f));
		Operand<TFloat32> tanh = this.tf.math
			.tanh(this.tf.math.mul(this.tf.math.add(x, cube), this.tf.constant((float) Math.sqrt(2 / Math.PI))));
		return this.tf.math.mul(this.tf.math.add(tanh, this.tf.constant(1f)), this.tf.constant(0.5f));
	}

}

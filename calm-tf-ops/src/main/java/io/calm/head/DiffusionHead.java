package io.calm.head;

import java.util.function.UnaryOperator;

import io.calm.autoencoder.Posterior;
import io.calm.graph.Draws;
import io.calm.graph.Network;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * The diffusion head (improved DDPM, Nichol and Dhariwal, arXiv 2102.09672, on latent
 * vectors as in Li et al., arXiv 2406.11838; an alternative to the energy head in the
 * paper): from noise to a sample in many small steps, each of which predicts the noise
 * {@code ε} in its input, and how sure it is of the step.
 */
public final class DiffusionHead implements GenerativeHead {

	private final Network network;

	private final DiffusionConfig config;

	private final AdaLayerNormNetwork denoiser;

	private final NoiseSchedule schedule = NoiseSchedule.cosine(AdaLayerNormNetwork.TIMES);

	/**
	 * Declares the parameters of a diffusion head.
	 * @param network where to build it
	 * @param name the parameters' prefix
	 * @param config its shape
	 */
	public DiffusionHead(Network network, String name, DiffusionConfig config) {
		this.network = network;
		this.config = config;
		this.denoiser = new AdaLayerNormNetwork(network, name + ".net", config.hiddenSize(), config.latentSize(),
				2 * config.latentSize(), config.blocks());
	}

	@Override
	public Operand<TFloat32> loss(Operand<TFloat32> hidden, Posterior target, Draws draws) {
		Ops tf = this.network.tf();
		long patches = hidden.shape().get(0);
		long samples = this.config.samples();
		long size = this.config.latentSize();
		Operand<TFloat32> latents = target.sample(tf, draws.normal(patches, samples, size));
		// rounding may reach the number of steps itself
		Operand<TInt32> steps = tf.math.minimum(
				tf.dtypes.cast(tf.math.mul(draws.uniform(patches, samples), tf.constant((float) this.schedule.steps())),
						TInt32.class),
				tf.constant(this.schedule.steps() - 1));
		return loss(hidden, latents, steps, draws.normal(patches, samples, size));
	}

	/**
	 * The mean squared error of the predicted noise, plus the variational bound in bits
	 * per dimension, from which only the variance learns.
	 * @param hidden the hidden states {@code [R, d]}
	 * @param latents z, {@code [R, N, l]}
	 * @param steps in 0…999, {@code [R, N]}
	 * @param noise ε, standard normal, {@code [R, N, l]}
	 * @return the mean over N, {@code [R]}
	 */
	public Operand<TFloat32> loss(Operand<TFloat32> hidden, Operand<TFloat32> latents, Operand<TInt32> steps,
			Operand<TFloat32> noise) {
		Ops tf = this.network.tf();
		long patches = latents.shape().get(0);
		long samples = latents.shape().get(1);
		long size = latents.shape().get(2);
		long width = this.config.hiddenSize();
		NoiseSchedule schedule = this.schedule;
		Operand<TFloat32> x = tf.math.add(
				tf.math.mul(schedule.at(tf, steps, (step) -> Math.sqrt(schedule.alphaBar(step))), latents),
				tf.math.mul(schedule.at(tf, steps, (step) -> Math.sqrt(1 - schedule.alphaBar(step))), noise));
		Operand<TFloat32> condition = tf.math
			.add(this.network.reshape(this.denoiser.ofHidden(hidden), patches, 1, width), this.network
				.reshape(this.denoiser.ofTime(tf.dtypes.cast(steps, TFloat32.class)), patches, samples, width));
		Operand<TFloat32> output = this.network.reshape(
				this.denoiser.apply(this.network.reshape(x, patches * samples, size),
						this.network.reshape(condition, patches * samples, width), UnaryOperator.identity()),
				patches, samples, 2 * size);
		Operand<TFloat32> predicted = this.network.columns(output, 0, size);
		Operand<TFloat32> error = tf.math.sub(predicted, noise); // [R, N, l]
		Operand<TFloat32> bound = VariationalBound.of(tf, schedule, steps, latents, tf.stopGradient(error),
				varianceShare(this.network.columns(output, size, size)));
		Operand<TFloat32> bits = tf.math.mul(bound, tf.constant((float) (1 / Math.log(2))));
		return tf.math.mean(tf.math.add(tf.math.square(error), bits), tf.constant(new int[] { 1, 2 }));
	}

	@Override
	public Operand<TFloat32> sample(Operand<TFloat32> hidden, int samples, Operand<TFloat32> noise) {
		return sample(hidden, this.denoiser.owners(hidden, samples), noise);
	}

	@Override
	public Operand<TFloat32> sample(Operand<TFloat32> hidden, Operand<TInt32> owners, Operand<TFloat32> noise) {
		Ops tf = this.network.tf();
		int size = this.config.latentSize();
		NoiseSchedule respaced = this.schedule.respaced(this.config.steps());
		float[] times = new float[respaced.steps()];
		for (int step = 0; step < times.length; step++) {
			times[step] = respaced.time(step);
		}
		Operand<TFloat32> ofHidden = this.denoiser.ofHidden(hidden); // [R, d]
		Operand<TFloat32> ofTimes = this.denoiser.ofTime(tf.constant(times)); // [steps,d]
		Operand<TFloat32> x = this.network.columns(noise, 0, size); // [n, l]
		for (int step = respaced.steps() - 1; step >= 0; step--) {
			Operand<TFloat32> output = this.denoiser.apply(x, tf.math.add(ofHidden, this.network.row(ofTimes, step)),
					(known) -> tf.gather(known, owners, tf.constant(0))); // [n, 2l]
			Operand<TFloat32> predicted = this.network.columns(output, 0, size);
			Operand<TFloat32> mean = tf.math.add(
					tf.math.mul(latents(x, predicted, respaced.alphaBar(step)),
							tf.constant((float) respaced.latentsWeight(step))),
					tf.math.mul(x, tf.constant((float) respaced.pointWeight(step))));
			if (step > 0) {
				double least = respaced.leastLogVariance(step);
				double range = respaced.greatestLogVariance(step) - least;
				Operand<TFloat32> logVariance = tf.math.add(tf.math
					.mul(varianceShare(this.network.columns(output, size, size)), tf.constant((float) range)),
						tf.constant((float) least));
				Operand<TFloat32> deviation = tf.math.exp(tf.math.mul(logVariance, tf.constant(0.5f)));
				Operand<TFloat32> fresh = this.network.columns(noise, (long) (respaced.steps() - step) * size, size);
				x = tf.math.add(mean, tf.math.mul(deviation, fresh));
			}
			else {
				// the last step goes to the mean
				x = mean;
			}
		}
		return x;
	}

	/**
	 * What the latent vectors must be if the noise in {@code x} is as predicted,
	 * {@code (x − √(1 − ᾱ)·ε)/√ᾱ}. Where there is nearly nothing but noise, this is
	 * twenty thousand times the error of the prediction: the bound keeps it from running
	 * away.
	 */
	private Operand<TFloat32> latents(Operand<TFloat32> x, Operand<TFloat32> noise, double alphaBar) {
		Ops tf = this.network.tf();
		Operand<TFloat32> latents = tf.math.sub(tf.math.mul(x, tf.constant((float) Math.sqrt(1 / alphaBar))),
				tf.math.mul(noise, tf.constant((float) Math.sqrt(1 / alphaBar - 1))));
		float bound = (float) this.config.bound();
		return Float.isInfinite(bound) ? latents : tf.clipByValue(latents, tf.constant(-bound), tf.constant(bound));
	}

	/**
	 * Where the log of the variance lies between its bounds: 0 is the least, 1 the
	 * greatest.
	 */
	private Operand<TFloat32> varianceShare(Operand<TFloat32> output) {
		Ops tf = this.network.tf();
		return tf.math.mul(tf.math.add(output, tf.constant(1f)), tf.constant(0.5f));
	}

	@Override
	public DiffusionConfig config() {
		return this.config;
	}

}

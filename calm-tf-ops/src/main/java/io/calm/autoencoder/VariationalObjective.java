package io.calm.autoencoder;

import io.calm.graph.Draws;
import io.calm.graph.Network;
import io.calm.layer.CrossEntropy;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * What the autoencoder learns (section 3.2 of the paper): to reconstruct patches from a
 * sample of their posterior, {@code K·CE + w·Σ max(clamp, KL)}, while tokens of the input
 * (DropToken) and dimensions of the sample (DropLatent) are dropped at random. PAD is not
 * a target.
 *
 * @param loss a scalar
 * @param crossEntropy mean over the tokens that are no PAD, in nats, a scalar
 * @param kl mean over the patches, unclamped and summed over dimensions, in nats, a
 * scalar
 * @param klPerDimension mean over the patches, {@code [l]}
 * @param collapsed how many latent dimensions say nothing about their patch: their
 * {@code klPerDimension} is below {@link #COLLAPSED}, a scalar
 * @param accuracy share of the tokens that are no PAD whose most likely reconstruction is
 * right, under the dropouts, a scalar
 */
public record VariationalObjective(Operand<TFloat32> loss, Operand<TFloat32> crossEntropy, Operand<TFloat32> kl,
		Operand<TFloat32> klPerDimension, Operand<TFloat32> collapsed, Operand<TFloat32> accuracy) {

	/**
	 * The KL below which a latent dimension counts as collapsed to the prior, in nats.
	 */
	public static final double COLLAPSED = 0.01;

	/**
	 * The random numbers of one step.
	 *
	 * @param tokenKeep {@code [R, K]}, 0 where DropToken replaces the id by 0, else 1
	 * @param latentNoise {@code [R, l]}, standard normal
	 * @param latentKeep {@code [R, l]}, 0 where DropLatent drops, else 1/(1 − p)
	 */
	public record Noise(Operand<TInt32> tokenKeep, Operand<TFloat32> latentNoise, Operand<TFloat32> latentKeep) {

		/**
		 * Draws the random numbers of one training step.
		 * @param tf where to build
		 * @param draws the source
		 * @param config of the autoencoder
		 * @param patches R
		 * @return the draws
		 */
		public static Noise draw(Ops tf, Draws draws, AutoencoderConfig config, long patches) {
			double keep = 1 - config.dropout();
			Operand<TInt32> tokenKeep = tf.dtypes.cast(draws.bernoulli(keep, patches, config.patchSize()),
					TInt32.class);
			Operand<TFloat32> latentKeep = tf.math.mul(draws.bernoulli(keep, patches, config.latentSize()),
					tf.constant((float) (1 / keep)));
			return new Noise(tokenKeep, draws.normal(patches, config.latentSize()), latentKeep);
		}

	}

	/**
	 * Builds the loss of patches and what is reported of it.
	 * @param network where to build it
	 * @param autoencoder what learns
	 * @param tokens {@code [R, K]}
	 * @param noise the step's random numbers
	 * @return loss and metrics
	 */
	public static VariationalObjective of(Network network, Autoencoder autoencoder, Operand<TInt32> tokens,
			Noise noise) {
		Ops tf = network.tf();
		AutoencoderConfig config = autoencoder.config();
		long patches = tokens.shape().get(0);
		Posterior posterior = autoencoder.encode(tf.math.mul(tokens, noise.tokenKeep()));
		Operand<TFloat32> latent = tf.math.add(posterior.mean(),
				tf.math.mul(posterior.deviation(tf), noise.latentNoise()));
		// [R·K, V]
		Operand<TFloat32> logits = autoencoder.decode(tf.math.mul(latent, noise.latentKeep()));

		Operand<TInt32> labels = tf.reshape(tokens, tf.constant(new long[] { patches * config.patchSize() }));
		Operand<TFloat32> real = tf.dtypes.cast(tf.math.notEqual(labels, tf.constant(config.padId())), TFloat32.class);
		Operand<TFloat32> crossEntropy = meanOver(tf, CrossEntropy.of(network, logits, labels), real);
		Operand<TInt32> best = tf.math.argMax(logits, tf.constant(1), TInt32.class);
		Operand<TFloat32> right = tf.dtypes.cast(tf.math.equal(best, labels), TFloat32.class);

		Operand<TFloat32> kl = posterior.kl(tf); // [R, l]
		Operand<TFloat32> clamped = tf.math.maximum(kl, tf.constant((float) config.klClamp()));
		Operand<TFloat32> klLoss = tf.math.mean(network.sumOfLast(clamped), tf.constant(new int[] { 0, 1 }));
		Operand<TFloat32> loss = tf.math.add(tf.math.mul(crossEntropy, tf.constant((float) config.patchSize())),
				tf.math.mul(klLoss, tf.constant((float) config.klWeight())));
		Operand<TFloat32> klPerDimension = tf.math.mean(kl, tf.constant(0));
		Operand<TFloat32> collapsed = tf.dtypes.cast(tf.math.less(klPerDimension, tf.constant((float) COLLAPSED)),
				TFloat32.class);
		return new VariationalObjective(loss, crossEntropy, tf.sum(klPerDimension, tf.constant(0)), klPerDimension,
				tf.sum(collapsed, tf.constant(0)), meanOver(tf, right, real));
	}

	private static Operand<TFloat32> meanOver(Ops tf, Operand<TFloat32> values, Operand<TFloat32> weights) {
		Operand<TInt32> all = tf.constant(0);
		Operand<TFloat32> count = tf.math.maximum(tf.sum(weights, all), tf.constant(1f));
		return tf.math.div(tf.sum(tf.math.mul(values, weights), all), count);
	}

}

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
 * The flow-matching head (Lipman et al., arXiv 2210.02747; an alternative to the energy
 * head in the paper): a velocity, learned along straight lines from normal noise
 * {@code x0} to latent vectors {@code z}, carries noise to samples.
 */
public final class FlowHead implements GenerativeHead {

	private final Network network;

	private final FlowConfig config;

	private final AdaLayerNormNetwork velocity;

	/**
	 * Declares the parameters of a flow head.
	 * @param network where to build it
	 * @param name the parameters' prefix
	 * @param config its shape
	 */
	public FlowHead(Network network, String name, FlowConfig config) {
		this.network = network;
		this.config = config;
		this.velocity = new AdaLayerNormNetwork(network, name + ".net", config.hiddenSize(), config.latentSize(),
				config.latentSize(), config.blocks());
	}

	@Override
	public Operand<TFloat32> loss(Operand<TFloat32> hidden, Posterior target, Draws draws) {
		long patches = hidden.shape().get(0);
		long samples = this.config.samples();
		long size = this.config.latentSize();
		return loss(hidden, target.sample(this.network.tf(), draws.normal(patches, samples, size)),
				draws.uniform(patches, samples), draws.normal(patches, samples, size));
	}

	/**
	 * The mean squared error of the velocity at points between noise and latent vectors,
	 * {@code ‖v((1 − t)·x0 + t·z, t) − (z − x0)‖² / l}.
	 * @param hidden the hidden states {@code [R, d]}
	 * @param latents z, {@code [R, N, l]}
	 * @param time t in [0, 1), {@code [R, N]}
	 * @param noise x0, standard normal, {@code [R, N, l]}
	 * @return the mean over N, {@code [R]}
	 */
	public Operand<TFloat32> loss(Operand<TFloat32> hidden, Operand<TFloat32> latents, Operand<TFloat32> time,
			Operand<TFloat32> noise) {
		Ops tf = this.network.tf();
		long patches = latents.shape().get(0);
		long samples = latents.shape().get(1);
		long size = latents.shape().get(2);
		long width = this.config.hiddenSize();
		Operand<TFloat32> direction = tf.math.sub(latents, noise); // [R, N, l]
		Operand<TFloat32> x = tf.math.add(noise,
				tf.math.mul(this.network.reshape(time, patches, samples, 1), direction));
		Operand<TFloat32> thousandths = tf.math
			.floor(tf.math.mul(time, tf.constant((float) AdaLayerNormNetwork.TIMES)));
		Operand<TFloat32> condition = tf.math.add(
				this.network.reshape(this.velocity.ofHidden(hidden), patches, 1, width),
				this.network.reshape(this.velocity.ofTime(thousandths), patches, samples, width));
		Operand<TFloat32> predicted = this.velocity.apply(this.network.reshape(x, patches * samples, size),
				this.network.reshape(condition, patches * samples, width), UnaryOperator.identity());
		Operand<TFloat32> error = tf.math.squaredDifference(this.network.reshape(predicted, patches, samples, size),
				direction);
		return tf.math.mean(error, tf.constant(new int[] { 1, 2 }));
	}

	@Override
	public Operand<TFloat32> sample(Operand<TFloat32> hidden, int samples, Operand<TFloat32> noise) {
		return sample(hidden, this.velocity.owners(hidden, samples), noise);
	}

	@Override
	public Operand<TFloat32> sample(Operand<TFloat32> hidden, Operand<TInt32> owners, Operand<TFloat32> noise) {
		Ops tf = this.network.tf();
		Operand<TFloat32> ofHidden = this.velocity.ofHidden(hidden); // [R, d]
		// [evaluations, d]
		Operand<TFloat32> ofTimes = this.velocity.ofTime(tf.constant(this.config.solver().times(this.config.steps())));
		return this.config.solver()
			.solve(tf, noise, this.config.steps(),
					(x, evaluation) -> this.velocity.apply(x,
							tf.math.add(ofHidden, this.network.row(ofTimes, evaluation)),
							(known) -> tf.gather(known, owners, tf.constant(0))));
	}

	@Override
	public FlowConfig config() {
		return this.config;
	}

}

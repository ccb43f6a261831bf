package io.calm.model;

import java.util.stream.IntStream;

import io.calm.graph.CrossEntropy;
import io.calm.graph.Initializer;
import io.calm.graph.Linear;
import io.calm.graph.Network;
import io.calm.graph.Variable;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * Guesses the tokens of the next patch, each for itself, from hidden state and copies, by
 * their likeness to the frozen autoencoder's vectors. Only training uses it: its cross
 * entropy tells the backbone, and copying, what the energy loss tells them slowly. What
 * the model writes is drawn by the generative head as before.
 */
final class TokenHead {

	private static final String NAME = "token_head.";

	private final Network network;

	private final TokenVectors vectors;

	private final int patchSize;

	private final int padId;

	private final Linear projection;

	/** How much of a copy counts, {@code [1]}; none where nothing is copied. */
	private final @Nullable Variable share;

	TokenHead(Network network, CalmConfig config, TokenVectors vectors) {
		this.network = network;
		this.vectors = vectors;
		this.patchSize = config.patchSize();
		this.padId = config.padId();
		this.projection = Linear.withoutBias(network, NAME + "proj", config.backbone().hiddenSize(),
				this.patchSize * vectors.size());
		this.share = (config.copySize() > 0) ? network.variables().declare(NAME + "copies", Initializer.ONES, 1) : null;
	}

	static boolean isParameter(String name) {
		return name.startsWith(NAME);
	}

	/**
	 * The cross entropy of one token of each patch, in nats; 0 for a PAD.
	 * @param hidden the hidden states {@code [R, d]}
	 * @param copies {@code [R, K·D]}, or none
	 * @param labels the next patches {@code [R, K]}
	 * @param uniform {@code [R]}, in [0, 1): which of the K tokens
	 * @return {@code [R]}
	 */
	Operand<TFloat32> loss(Operand<TFloat32> hidden, @Nullable Operand<TFloat32> copies, Operand<TInt32> labels,
			Operand<TFloat32> uniform) {
		Ops tf = this.network.tf();
		Operand<TFloat32> guesses = this.projection.apply(hidden);
		if (copies != null && this.share != null) {
			guesses = tf.math.add(guesses, tf.math.mul(copies, this.share.value()));
		}
		int rows = (int) hidden.shape().get(0);
		Operand<TInt32> place = tf.dtypes.cast(tf.math.mul(uniform, tf.constant((float) this.patchSize)), TInt32.class);
		Operand<TInt32> chosen = tf.math
			.add(tf.constant(IntStream.range(0, rows).map((row) -> row * this.patchSize).toArray()), place);
		Operand<TFloat32> guess = tf.gather(this.network.reshape(guesses, -1, this.vectors.size()), chosen,
				tf.constant(0));
		Operand<TInt32> label = tf.gather(tf.reshape(labels, tf.constant(new int[] { -1 })), chosen, tf.constant(0));
		Operand<TFloat32> real = tf.dtypes.cast(tf.math.notEqual(label, tf.constant(this.padId)), TFloat32.class);
		return tf.math.mul(CrossEntropy.of(this.network, this.vectors.likeness(guess), label), real);
	}

}

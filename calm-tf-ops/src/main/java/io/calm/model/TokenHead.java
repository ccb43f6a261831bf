package io.calm.model;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

import io.calm.graph.Draws;
import io.calm.graph.Initializer;
import io.calm.graph.Network;
import io.calm.graph.Variable;
import io.calm.layer.CrossEntropy;
import io.calm.layer.Linear;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * Guesses the tokens of the next patch from hidden state and copies, by their likeness to
 * the frozen autoencoder's vectors. In training its cross entropy tells the backbone, and
 * copying, what the energy loss tells them slowly. The {@linkplain LeadTokens lead
 * tokens}, which are drawn one after the other, are guessed each from those before it
 * too; all others each for itself, in training only.
 */
final class TokenHead {

	private static final String NAME = "token_head.";

	private final Network network;

	private final TokenVectors vectors;

	private final int patchSize;

	private final int padId;

	/** m, how many tokens of a patch are guessed in a step. */
	private final int guessed;

	private final Linear projection;

	/** How much of a copy counts, {@code [1]}; none where nothing is copied. */
	private final @Nullable Variable share;

	/** What lead tokens say of the ones behind them, for each but the first. */
	private final List<Following> following;

	TokenHead(Network network, CalmConfig config, TokenVectors vectors) {
		this.network = network;
		this.vectors = vectors;
		this.patchSize = config.patchSize();
		this.padId = config.padId();
		this.guessed = config.guessedTokens();
		int width = config.backbone().hiddenSize();
		this.projection = Linear.withoutBias(network, NAME + "proj", width, this.patchSize * vectors.size());
		this.share = (config.copySize() > 0) ? network.variables().declare(NAME + "copies", Initializer.ONES, 1) : null;
		this.following = IntStream.range(1, config.leadTokens())
			.mapToObj((place) -> new Following(network, NAME + "following." + place, width, place * vectors.size(),
					vectors.size()))
			.toList();
	}

	static boolean isParameter(String name) {
		return name.startsWith(NAME);
	}

	/**
	 * What hidden states and copies say of the tokens of the next patch, each for itself.
	 * @param hidden {@code [R, d]}
	 * @param copies {@code [R, K·D]}, or none
	 * @return {@code [R, K·D]}
	 */
	Operand<TFloat32> guesses(Operand<TFloat32> hidden, @Nullable Operand<TFloat32> copies) {
		Ops tf = this.network.tf();
		Operand<TFloat32> guesses = this.projection.apply(hidden);
		if (copies == null || this.share == null) {
			return guesses;
		}
		return tf.math.add(guesses, tf.math.mul(copies, this.share.value()));
	}

	/**
	 * The guess of a lead token that is not the first.
	 * @param guess {@code [R, D]}, from the state alone
	 * @param hidden {@code [R, d]}
	 * @param before {@code [R, place]}, the tokens before it in the patch
	 * @return {@code [R, D]}
	 */
	Operand<TFloat32> following(Operand<TFloat32> guess, Operand<TFloat32> hidden, Operand<TInt32> before) {
		int place = (int) before.shape().get(1);
		Operand<TFloat32> read = this.network.reshape(this.vectors.of(before), -1, place * this.vectors.size());
		return this.network.tf().math.add(guess, this.following.get(place - 1).apply(hidden, read));
	}

	/** Guesses {@code [n, D]} as probabilities {@code [n, V]}. */
	Operand<TFloat32> probabilities(Operand<TFloat32> guess) {
		return this.network.tf().nn.softmax(this.vectors.likeness(guess));
	}

	/**
	 * The mean cross entropy of some tokens of each patch, in nats; a PAD counts 0. Which
	 * tokens changes from step to step, if it is not all.
	 * @param hidden the hidden states {@code [R, d]}
	 * @param copies {@code [R, K·D]}, or none
	 * @param labels the next patches {@code [R, K]}
	 * @param draws chooses among the tokens
	 * @return {@code [R]}
	 */
	Operand<TFloat32> loss(Operand<TFloat32> hidden, @Nullable Operand<TFloat32> copies, Operand<TInt32> labels,
			Draws draws) {
		Ops tf = this.network.tf();
		int rows = (int) hidden.shape().get(0);
		Operand<TFloat32> guesses = this.network.reshape(perPlace(hidden, copies, labels), -1, this.vectors.size());
		Operand<TInt32> flat = tf.reshape(labels, tf.constant(new int[] { -1 }));
		if (this.guessed < this.patchSize) {
			Operand<TInt32> chosen = chosen(rows, draws);
			guesses = tf.gather(guesses, chosen, tf.constant(0));
			flat = tf.gather(flat, chosen, tf.constant(0));
		}
		Operand<TFloat32> real = tf.dtypes.cast(tf.math.notEqual(flat, tf.constant(this.padId)), TFloat32.class);
		Operand<TFloat32> each = tf.math.mul(CrossEntropy.of(this.network, this.vectors.likeness(guesses), flat), real);
		return tf.math.mean(this.network.reshape(each, rows, this.guessed), tf.constant(1));
	}

	/** Tokens of each patch that follow one another, the first one after the last. */
	private Operand<TInt32> chosen(int rows, Draws draws) {
		Ops tf = this.network.tf();
		Operand<TFloat32> uniform = this.network.reshape(draws.uniform(rows), rows, 1);
		Operand<TInt32> first = tf.dtypes.cast(tf.math.mul(uniform, tf.constant((float) this.patchSize)), TInt32.class);
		Operand<TInt32> places = tf.math.floorMod(
				tf.math.add(first, tf.constant(IntStream.range(0, this.guessed).toArray())),
				tf.constant(this.patchSize)); // [R, m]
		Operand<TInt32> before = tf.reshape(
				tf.constant(IntStream.range(0, rows).map((row) -> row * this.patchSize).toArray()),
				tf.constant(new int[] { rows, 1 }));
		return tf.reshape(tf.math.add(before, places), tf.constant(new int[] { -1 }));
	}

	/** The guesses {@code [R, K·D]}, those of lead tokens from the true ones before. */
	private Operand<TFloat32> perPlace(Operand<TFloat32> hidden, @Nullable Operand<TFloat32> copies,
			Operand<TInt32> labels) {
		Operand<TFloat32> guesses = guesses(hidden, copies);
		if (this.following.isEmpty()) {
			return guesses;
		}
		Ops tf = this.network.tf();
		long size = this.vectors.size();
		List<Operand<TFloat32>> each = new ArrayList<>(List.of(this.network.columns(guesses, 0, size)));
		for (int place = 1; place <= this.following.size(); place++) {
			Operand<TInt32> before = tf.slice(labels, tf.constant(new int[] { 0, 0 }),
					tf.constant(new int[] { -1, place }));
			each.add(following(this.network.columns(guesses, place * size, size), hidden, before));
		}
		int led = each.size();
		if (led < this.patchSize) {
			each.add(this.network.columns(guesses, led * size, (this.patchSize - led) * size));
		}
		return tf.concat(each, tf.constant(1));
	}

	/** What the tokens before a token say of it, given the hidden state: an MLP. */
	private static final class Following {

		private final Network network;

		private final long width;

		private final long read;

		private final Linear first;

		private final Linear second;

		Following(Network network, String name, long width, long read, long vector) {
			this.network = network;
			this.width = width;
			this.read = read;
			this.first = Linear.withBias(network, name + ".linears.0", width + read, 2 * width);
			this.second = Linear.withBias(network, name + ".linears.2", 2 * width, vector);
		}

		Operand<TFloat32> apply(Operand<TFloat32> hidden, Operand<TFloat32> before) {
			Operand<TFloat32> both = this.network.tf().math.add(this.first.applyColumns(hidden, 0, this.width),
					this.first.applyColumns(before, this.width, this.read));
			return this.second.apply(this.network.silu(this.first.biased(both)));
		}

	}

}

package io.calm.model;

import java.util.List;
import java.util.Objects;

import io.calm.graph.Categorical;
import io.calm.graph.Network;
import io.calm.layer.Linear;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Squeeze;
import org.tensorflow.op.core.Unique;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * The first A tokens of the next patch are drawn one after the other, and the vector of
 * the whole patch is drawn given them, still in a single step of the backbone:
 * {@code P(patch | h) = P(x_1 | h) … P(x_A | h, x_1 … x_{A−1}) · P(z | h, x_1 … x_A)}.
 * Where the text may go on in several ways, a network that turns noise into vectors has
 * to fold it into separate modes, and draws between two modes decode to broken words. A
 * token names the mode. The token loss is a proper score of the first factors, the energy
 * loss of the last one, so that the sum of both is one of the patch.
 */
final class LeadTokens {

	private static final String NAME = "lead_proj";

	private final Network network;

	/** A, how many tokens lead. */
	private final int count;

	private final int patchSize;

	private final long vocabularySize;

	private final TokenVectors vectors;

	private final TokenHead head;

	private final Linear projection;

	LeadTokens(Network network, CalmConfig config, TokenVectors vectors, TokenHead head) {
		this.network = network;
		this.count = config.leadTokens();
		this.patchSize = config.patchSize();
		this.vocabularySize = config.vocabularySize();
		this.vectors = vectors;
		this.head = head;
		this.projection = Linear.withoutBias(network, NAME, this.count * vectors.size(),
				config.backbone().hiddenSize());
	}

	static boolean isParameter(String name) {
		return name.startsWith(NAME + ".");
	}

	/**
	 * What the generative head is given, once the lead tokens are known.
	 * @param hidden {@code [R, d]}
	 * @param patches {@code [R, n]}, which begin with the lead tokens
	 * @return {@code [R, d]}
	 */
	Operand<TFloat32> given(Operand<TFloat32> hidden, Operand<TInt32> patches) {
		Ops tf = this.network.tf();
		Operand<TInt32> leads = tf.slice(patches, tf.constant(new int[] { 0, 0 }),
				tf.constant(new int[] { -1, this.count }));
		Operand<TFloat32> read = this.network.reshape(this.vectors.of(leads), -1, this.count * this.vectors.size());
		return tf.math.add(hidden, this.projection.apply(read));
	}

	/**
	 * Draws the lead tokens of next patches, one after the other.
	 * @param hidden {@code [R, d]}
	 * @param copies {@code [R, K·D]}, or none
	 * @param owners {@code [n]}, the row of {@code hidden} that each draw belongs to
	 * @param uniform {@code [n, A]}, in [0, 1)
	 * @param merged whether draws of one owner that begin alike are computed together:
	 * less work for many draws, but of a shape that is known only when it is done
	 */
	Drawn draw(Operand<TFloat32> hidden, @Nullable Operand<TFloat32> copies, Operand<TInt32> owners,
			Operand<TFloat32> uniform, boolean merged) {
		Ops tf = this.network.tf();
		Operand<TInt32> zero = tf.constant(0);
		Operand<TInt32> one = tf.constant(1);
		long size = this.vectors.size();
		Operand<TFloat32> guesses = this.head.guesses(hidden, copies);
		// of the beginnings that there are so far, first the empty one of each row
		Operand<TFloat32> guess = this.network.columns(guesses, 0, size);
		Operand<TInt32> rows = null;
		Operand<TInt32> beginnings = null;
		Operand<TInt32> ofDraws = owners;
		for (int place = 0; place < this.count; place++) {
			if (rows != null && beginnings != null) {
				guess = this.head.following(tf.gather(this.network.columns(guesses, place * size, size), rows, zero),
						tf.gather(hidden, rows, zero), beginnings);
			}
			Operand<TInt32> tokens = Categorical.of(tf, this.head.probabilities(guess))
				.draw(tf, ofDraws, column(uniform, place));
			Operand<TInt32> before = ofDraws;
			if (merged) {
				Operand<TInt64> vocabulary = tf.constant(this.vocabularySize);
				Unique<TInt64, TInt32> unique = tf
					.unique(tf.math.add(tf.math.mul(tf.dtypes.cast(ofDraws, TInt64.class), vocabulary),
							tf.dtypes.cast(tokens, TInt64.class)), tf.constant(new int[] { 0 }));
				before = tf.dtypes.cast(tf.math.floorDiv(unique.y(), vocabulary), TInt32.class);
				tokens = tf.dtypes.cast(tf.math.floorMod(unique.y(), vocabulary), TInt32.class);
				ofDraws = unique.idx();
			}
			else {
				ofDraws = tf.range(zero, tf.size(owners), one);
			}
			Operand<TInt32> last = tf.expandDims(tokens, one);
			beginnings = (beginnings == null) ? last
					: tf.concat(List.of(tf.gather(beginnings, before, zero), last), one);
			rows = (rows == null) ? before : tf.gather(rows, before, zero);
		}
		return new Drawn(Objects.requireNonNull(rows), Objects.requireNonNull(beginnings), ofDraws);
	}

	private Operand<TFloat32> column(Operand<TFloat32> matrix, int index) {
		return this.network.tf().squeeze(this.network.columns(matrix, index, 1), Squeeze.axis(List.of(1L)));
	}

	/**
	 * Beginnings of patches that were drawn, each different one of a state once.
	 *
	 * @param rows {@code [U]}, whose they are
	 * @param tokens {@code [U, A]}
	 * @param ofDraws {@code [n]}, which of them each draw begins with
	 */
	record Drawn(Operand<TInt32> rows, Operand<TInt32> tokens, Operand<TInt32> ofDraws) {
	}

}

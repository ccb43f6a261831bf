package io.calm.autoencoder;

import java.util.ArrayList;
import java.util.List;

import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Stack;
import org.tensorflow.op.core.UniqueWithCounts;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * Decodes draws for a sampler that counts them: a patch that is unlike all others of its
 * owner is left alone as soon as this is known. It begins with the tokens that are known
 * already, and goes on at the end of the patches: the last token is the least certain,
 * and tells most of them apart.
 *
 * @param patchSize K
 * @param known how many of the first tokens are known, which cost nothing
 * @param vocabularySize V
 * @param decoder of the tokens at one place of the patches
 */
record RepeatedPatches(int patchSize, int known, long vocabularySize, PlaceDecoder decoder) {

	/** Stands for a token that was not decoded. */
	private static final int NONE = -1;

	/**
	 * Decodes R draws.
	 * @param owners {@code [R]}, for what each was drawn: draws of one owner are compared
	 * @param required {@code [R]}, which are decoded in any case, at least one
	 * @return {@code [R, K]}; in a patch unlike all others the tokens at places that were
	 * not reached are -1, so that it is still unlike all others
	 */
	Operand<TInt32> decode(Ops tf, Operand<TInt32> owners, Operand<TBool> required) {
		Operand<TInt32> none = tf.fill(tf.shape(owners), tf.constant(NONE));
		// [A]: the draws that are still of interest, and the group of those that are
		// alike so far
		Operand<TInt32> rows = tf.range(tf.constant(0), tf.size(owners), tf.constant(1));
		Operand<TInt64> group = tf.dtypes.cast(owners, TInt64.class);
		List<Operand<TInt32>> tokens = new ArrayList<>();
		for (int i = 0; i < this.patchSize; i++) {
			int place = (i < this.known) ? i : this.patchSize - 1 - (i - this.known);
			Operand<TInt32> decoded = this.decoder.decode(place, rows);
			tokens.add(Math.min(i, this.known),
					tf.tensorScatterNdUpdate(none, tf.expandDims(rows, tf.constant(1)), decoded));
			UniqueWithCounts<TInt64, TInt32> groups = tf.uniqueWithCounts(tf.math
				.add(tf.math.mul(group, tf.constant(this.vocabularySize)), tf.dtypes.cast(decoded, TInt64.class)),
					tf.constant(new int[] { 0 }));
			Operand<TBool> repeated = tf.math.greater(tf.gather(groups.count(), groups.idx(), tf.constant(0)),
					tf.constant(1));
			Operand<TBool> kept = tf.math.logicalOr(repeated, tf.gather(required, rows, tf.constant(0)));
			rows = tf.booleanMask(rows, kept);
			group = tf.dtypes.cast(tf.booleanMask(groups.idx(), kept), TInt64.class);
		}
		return tf.stack(tokens, Stack.axis(1L));
	}

	/** Decodes the tokens at one place of some patches. */
	@FunctionalInterface
	interface PlaceDecoder {

		/**
		 * Decodes.
		 * @param place in the patch, from 0
		 * @param rows {@code [A]}, of which patches
		 * @return {@code [A]}
		 */
		Operand<TInt32> decode(int place, Operand<TInt32> rows);

	}

}

package io.calm.layer;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import io.calm.graph.Network;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Max;
import org.tensorflow.op.core.Squeeze;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * Grouped-query self-attention of Llama, without biases: {@code heads} query heads share
 * {@code keyHeads} heads of keys and values.
 */
public final class CausalAttention {

	/** Added to the score of what must not be seen: far below any score, far above -∞. */
	public static final float MASKED = -1e9f;

	private final Network network;

	private final int heads;

	private final int keyHeads;

	private final int headSize;

	private final Linear query;

	private final Linear key;

	private final Linear value;

	private final Linear output;

	/**
	 * Declares the four maps.
	 * @param network where to build it
	 * @param name the parameters' prefix
	 * @param size columns of input and output
	 * @param heads query heads
	 * @param keyHeads heads of keys and values; divides {@code heads}
	 * @param headSize features of a head
	 * @param deviation of the first weights
	 */
	public CausalAttention(Network network, String name, long size, int heads, int keyHeads, int headSize,
			double deviation) {
		this.network = network;
		this.heads = heads;
		this.keyHeads = keyHeads;
		this.headSize = headSize;
		this.query = Linear.withoutBias(network, name + ".q_proj", size, (long) heads * headSize, deviation);
		this.key = Linear.withoutBias(network, name + ".k_proj", size, (long) keyHeads * headSize, deviation);
		this.value = Linear.withoutBias(network, name + ".v_proj", size, (long) keyHeads * headSize, deviation);
		this.output = Linear.withoutBias(network, name + ".o_proj", (long) heads * headSize, size, deviation);
	}

	/**
	 * The additive mask of whole sequences: a position sees itself and the earlier ones
	 * of its own document.
	 * @param tf where to build it
	 * @param documents {@code [B, P]}, the number of the document at each position
	 * @return {@code [B, 1, P, P]}, 0 where a row sees a column
	 */
	public static Operand<TFloat32> documentMask(Ops tf, Operand<TInt32> documents) {
		long batch = documents.shape().get(0);
		long positions = documents.shape().get(1);
		float[][] future = new float[(int) positions][(int) positions];
		for (int row = 0; row < positions; row++) {
			for (int column = row + 1; column < positions; column++) {
				future[row][column] = MASKED;
			}
		}
		Operand<TInt32> rows = tf.reshape(documents, tf.constant(new long[] { batch, 1, positions, 1 }));
		Operand<TInt32> columns = tf.reshape(documents, tf.constant(new long[] { batch, 1, 1, positions }));
		Operand<TFloat32> other = tf.dtypes.cast(tf.math.notEqual(rows, columns), TFloat32.class);
		return tf.math.minimum(tf.math.mul(other, tf.constant(MASKED)), tf.constant(future));
	}

	/**
	 * Attention within whole sequences.
	 * @param x {@code [B·P, size]}
	 * @param rotary the tables of the P positions
	 * @param mask {@code [B, 1, P, P]}, added to the scores
	 * @return {@code [B·P, size]}
	 */
	public Operand<TFloat32> apply(Operand<TFloat32> x, RotaryEmbedding rotary, Operand<TFloat32> mask) {
		Projected heads = project(x, rotary, mask);
		return merge(attend(heads.query(), shared(heads.key()), shared(heads.value()), mask));
	}

	/**
	 * Attention within whole sequences, each position of which can then be continued on a
	 * path of its own.
	 * @param x {@code [B·P, size]}
	 * @param rotary the tables of the P positions
	 * @param paths with nothing on them yet
	 * @return {@code [B·P, size]}
	 */
	public Operand<TFloat32> begin(Operand<TFloat32> x, RotaryEmbedding rotary, AttentionPaths paths) {
		Projected heads = project(x, rotary, paths.mask());
		paths.add(shared(heads.key()), shared(heads.value()));
		return merge(attend(heads.query(), paths.keys().get(0), paths.values().get(0), paths.mask()));
	}

	/**
	 * Attention of one more element behind each position: it sees the sequence up to that
	 * position and its own path.
	 * @param x {@code [B·P, size]}
	 * @param rotary the tables of the P places
	 * @param paths that have begun
	 * @return {@code [B·P, size]}
	 */
	public Operand<TFloat32> proceed(Operand<TFloat32> x, RotaryEmbedding rotary, AttentionPaths paths) {
		Ops tf = this.network.tf();
		Projected heads = project(x, rotary, paths.mask());
		paths.add(shared(heads.key()), shared(heads.value()));
		Operand<TFloat32> query = scaled(heads.query());
		List<Operand<TFloat32>> scores = new ArrayList<>();
		scores.add(tf.math.add(this.network.batchMatMulTransposed(query, paths.keys().get(0)), paths.mask()));
		for (Operand<TFloat32> own : paths.keys().subList(1, paths.keys().size())) {
			// [B, heads, P, 1]
			scores.add(this.network.sumOfLast(tf.math.mul(query, own)));
		}
		long positions = paths.mask().shape().get(2);
		Operand<TFloat32> weights = tf.nn.softmax(tf.concat(scores, tf.constant(3)));
		Operand<TFloat32> mixed = this.network.batchMatMul(this.network.columns(weights, 0, positions),
				paths.values().get(0));
		for (int i = 1; i < paths.values().size(); i++) {
			Operand<TFloat32> weight = this.network.columns(weights, positions + i - 1, 1);
			mixed = tf.math.add(mixed, tf.math.mul(weight, paths.values().get(i)));
		}
		return merge(mixed);
	}

	/**
	 * Attention of new positions of some sequences to themselves and to what stands
	 * before them. {@code A} counts sequences, each with {@code Q} new positions.
	 * @param x {@code [A·Q, size]}
	 * @param rotary the tables {@code [A·Q, 1, headSize]} at the new positions
	 * @param past what stands before the new positions
	 * @param layer the number of this layer, under which the past remembers it
	 * @return {@code [A·Q, size]}
	 */
	public Operand<TFloat32> apply(Operand<TFloat32> x, RotaryEmbedding rotary, Past past, int layer) {
		Ops tf = this.network.tf();
		Operand<TFloat32> q = rotary.rotate(this.network,
				this.network.reshape(this.query.apply(x), -1, this.heads, this.headSize));
		Operand<TFloat32> k = rotary.rotate(this.network,
				this.network.reshape(this.key.apply(x), -1, this.keyHeads, this.headSize));
		long keySize = (long) this.keyHeads * this.headSize;
		Operand<TFloat32> keys = past.perSequence(tf,
				past.remember(this.network, "keys." + layer, keySize, this.network.reshape(k, -1, keySize)),
				this.keyHeads, this.headSize);
		Operand<TFloat32> values = past.perSequence(tf,
				past.remember(this.network, "values." + layer, keySize, this.value.apply(x)), this.keyHeads,
				this.headSize);
		if (past.single()) {
			return this.output.apply(attendOne(q, keys, values, past.mask()));
		}
		Operand<TFloat32> mixed = attend(heads(past.perSequence(tf, q, this.heads, this.headSize)), shared(heads(keys)),
				shared(heads(values)), past.mask());
		return merge(mixed);
	}

	/**
	 * Attention of one position of each slot without a product of matrices: for so few
	 * numbers, waking a second thread to transpose them takes longer than computing.
	 * @param q {@code [A, heads, headSize]}
	 * @param k {@code [A, n·B, keyHeads, headSize]}
	 * @param v likewise
	 * @param mask {@code [A, 1, 1, n·B]}
	 * @return {@code [A, heads·headSize]}
	 */
	private Operand<TFloat32> attendOne(Operand<TFloat32> q, Operand<TFloat32> k, Operand<TFloat32> v,
			Operand<TFloat32> mask) {
		Ops tf = this.network.tf();
		Operand<TInt32> places = tf.constant(1);
		Operand<TFloat32> queries = this.network.reshape(scaled(q), -1, 1, this.keyHeads, this.heads / this.keyHeads,
				this.headSize);
		// [A, n·B, 1, 1]
		Operand<TFloat32> visible = tf
			.expandDims(tf.expandDims(tf.squeeze(mask, Squeeze.axis(List.of(1L, 2L))), tf.constant(2)), tf.constant(3));
		// [A, n·B, keyHeads, heads/keyHeads]
		Operand<TFloat32> scores = tf.math
			.add(tf.sum(tf.math.mul(queries, tf.expandDims(k, tf.constant(3))), tf.constant(4)), visible);
		Operand<TFloat32> weights = tf.math.exp(tf.math.sub(scores, tf.max(scores, places, Max.keepDims(true))));
		// [A, keyHeads, heads/keyHeads, headSize]
		Operand<TFloat32> mixed = tf
			.sum(tf.math.mul(tf.expandDims(weights, tf.constant(4)), tf.expandDims(v, tf.constant(3))), places);
		Operand<TFloat32> total = tf.expandDims(tf.sum(weights, places), tf.constant(3));
		return this.network.reshape(tf.math.div(mixed, total), -1, (long) this.heads * this.headSize);
	}

	/** softmax(q·kᵀ/√headSize + mask)·v, all {@code [B, heads, rows, headSize]}. */
	private Operand<TFloat32> attend(Operand<TFloat32> q, Operand<TFloat32> k, Operand<TFloat32> v,
			Operand<TFloat32> mask) {
		Ops tf = this.network.tf();
		Operand<TFloat32> scores = tf.math.add(this.network.batchMatMulTransposed(scaled(q), k), mask);
		return this.network.batchMatMul(tf.nn.softmax(scores), v);
	}

	private Operand<TFloat32> scaled(Operand<TFloat32> q) {
		Ops tf = this.network.tf();
		return tf.math.mul(q, tf.constant((float) (1 / Math.sqrt(this.headSize))));
	}

	/** Queries, keys and values of whole sequences, {@code [B, ·, P, headSize]}. */
	private record Projected(Operand<TFloat32> query, Operand<TFloat32> key, Operand<TFloat32> value) {
	}

	private Projected project(Operand<TFloat32> x, RotaryEmbedding rotary, Operand<TFloat32> mask) {
		long batch = mask.shape().get(0);
		long positions = mask.shape().get(2);
		return new Projected(rotary.rotate(this.network, split(this.query.apply(x), batch, positions, this.heads)),
				rotary.rotate(this.network, split(this.key.apply(x), batch, positions, this.keyHeads)),
				split(this.value.apply(x), batch, positions, this.keyHeads));
	}

	/** {@code [B, heads, P, headSize]} to {@code [B·P, size]}. */
	private Operand<TFloat32> merge(Operand<TFloat32> mixed) {
		return this.output.apply(this.network.reshape(heads(mixed), -1, (long) this.heads * this.headSize));
	}

	/** {@code [B·P, heads·headSize]} to {@code [B, heads, P, headSize]}. */
	private Operand<TFloat32> split(Operand<TFloat32> x, long batch, long positions, int heads) {
		Operand<TFloat32> separate = this.network.reshape(x, batch, positions, heads, this.headSize);
		return this.network.tf().linalg.transpose(separate, this.network.tf().constant(new int[] { 0, 2, 1, 3 }));
	}

	/** Swaps positions and heads of {@code [B, ·, ·, headSize]}. */
	private Operand<TFloat32> heads(Operand<TFloat32> x) {
		return this.network.tf().linalg.transpose(x, this.network.tf().constant(new int[] { 0, 2, 1, 3 }));
	}

	/**
	 * Gives every query head its head of keys: {@code [B, keyHeads, P, headSize]} to
	 * {@code [B, heads, P, headSize]}.
	 */
	private Operand<TFloat32> shared(Operand<TFloat32> x) {
		if (this.keyHeads == this.heads) {
			return x;
		}
		Ops tf = this.network.tf();
		int[] owner = new int[this.heads];
		Arrays.setAll(owner, (head) -> head / (this.heads / this.keyHeads));
		return tf.gather(x, tf.constant(owner), tf.constant(1));
	}

}

package io.calm.graph;

import java.util.List;

import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Stack;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * Grouped-query self-attention of Llama, without biases: {@code heads} query heads share
 * {@code keyHeads} heads of keys and values.
 */
public final class CausalAttention {

	/** What a masked score is set to: far below any score, far above -∞. */
	private static final float MASKED = -1e9f;

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
		long batch = mask.shape().get(0);
		long positions = mask.shape().get(2);
		Operand<TFloat32> q = rotary.rotate(this.network, split(this.query.apply(x), batch, positions, this.heads));
		Operand<TFloat32> k = rotary.rotate(this.network, split(this.key.apply(x), batch, positions, this.keyHeads));
		Operand<TFloat32> v = split(this.value.apply(x), batch, positions, this.keyHeads);
		Operand<TFloat32> mixed = attend(q, shared(k, batch, positions), shared(v, batch, positions), mask);
		Operand<TFloat32> merged = this.network.tf().linalg.transpose(mixed,
				this.network.tf().constant(new int[] { 0, 2, 1, 3 }));
		return this.output.apply(this.network.reshape(merged, batch * positions, (long) this.heads * this.headSize));
	}

	/**
	 * Attention of one new position per slot to itself and those in its cache, to which
	 * it is added.
	 * @param x {@code [S, size]}
	 * @param rotary the tables {@code [S, 1, headSize]} at the slots' positions
	 * @param positions {@code [S]}, where in its cache each slot stands
	 * @param keys the cache {@code [S, C, keyHeads · headSize]}
	 * @param values likewise
	 * @return {@code [S, size]}
	 */
	public Operand<TFloat32> applyCached(Operand<TFloat32> x, RotaryEmbedding rotary, Operand<TInt32> positions,
			Variable keys, Variable values) {
		Ops tf = this.network.tf();
		long slots = keys.shape()[0];
		long context = keys.shape()[1];
		Operand<TFloat32> q = rotary.rotate(this.network,
				this.network.reshape(this.query.apply(x), slots, this.heads, this.headSize));
		Operand<TFloat32> k = rotary.rotate(this.network,
				this.network.reshape(this.key.apply(x), slots, this.keyHeads, this.headSize));
		Operand<TFloat32> allKeys = remember(keys, positions, this.network.reshape(k, slots, keys.shape()[2]));
		Operand<TFloat32> allValues = remember(values, positions, this.value.apply(x));
		Operand<TFloat32> past = tf.dtypes
			.cast(tf.math.greater(tf.range(tf.constant(0), tf.constant((int) context), tf.constant(1)),
					tf.reshape(positions, tf.constant(new long[] { slots, 1 }))), TFloat32.class);
		Operand<TFloat32> mask = this.network.reshape(tf.math.mul(past, tf.constant(MASKED)), slots, 1, 1, context);
		Operand<TFloat32> mixed = attend(this.network.reshape(q, slots, this.heads, 1, this.headSize),
				shared(split(allKeys, slots, context, this.keyHeads), slots, context),
				shared(split(allValues, slots, context, this.keyHeads), slots, context), mask);
		return this.output.apply(this.network.reshape(mixed, slots, (long) this.heads * this.headSize));
	}

	/** softmax(q·kᵀ/√headSize + mask)·v, all {@code [B, heads, rows, headSize]}. */
	private Operand<TFloat32> attend(Operand<TFloat32> q, Operand<TFloat32> k, Operand<TFloat32> v,
			Operand<TFloat32> mask) {
		Ops tf = this.network.tf();
		Operand<TFloat32> scaled = tf.math.mul(q, tf.constant((float) (1 / Math.sqrt(this.headSize))));
		Operand<TFloat32> scores = tf.math.add(this.network.batchMatMulTransposed(scaled, k), mask);
		return this.network.batchMatMul(tf.nn.softmax(scores), v);
	}

	/** {@code [B·P, heads·headSize]} to {@code [B, heads, P, headSize]}. */
	private Operand<TFloat32> split(Operand<TFloat32> x, long batch, long positions, int heads) {
		Operand<TFloat32> separate = this.network.reshape(x, batch, positions, heads, this.headSize);
		return this.network.tf().linalg.transpose(separate, this.network.tf().constant(new int[] { 0, 2, 1, 3 }));
	}

	/**
	 * Gives every query head its head of keys: {@code [B, keyHeads, P, headSize]} to
	 * {@code [B, heads, P, headSize]}.
	 */
	private Operand<TFloat32> shared(Operand<TFloat32> x, long batch, long positions) {
		if (this.keyHeads == this.heads) {
			return x;
		}
		long group = this.heads / this.keyHeads;
		Operand<TFloat32> one = this.network.reshape(x, batch, this.keyHeads, 1, positions, this.headSize);
		Operand<TFloat32> many = this.network.tf()
			.tile(one, this.network.tf().constant(new long[] { 1, 1, group, 1, 1 }));
		return this.network.reshape(many, batch, this.heads, positions, this.headSize);
	}

	/** Writes one row per slot into a cache and reads the cache after that. */
	private Operand<TFloat32> remember(Variable cache, Operand<TInt32> positions, Operand<TFloat32> rows) {
		Ops tf = this.network.tf();
		Operand<TInt32> slots = tf.range(tf.constant(0), tf.constant((int) cache.shape()[0]), tf.constant(1));
		Operand<TInt32> places = tf.stack(List.of(slots, positions), Stack.axis(1L));
		Op written = tf.resourceScatterNdUpdate(cache.handle(), places, rows);
		return tf.withControlDependencies(written).readVariableOp(cache.handle(), TFloat32.class);
	}

}

package io.calm.model;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.IntStream;

import io.calm.graph.Initializer;
import io.calm.graph.Network;
import io.calm.graph.Variable;
import io.calm.layer.CausalAttention;
import io.calm.layer.Linear;
import io.calm.layer.Past;
import io.calm.layer.RotaryEmbedding;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Gather;
import org.tensorflow.op.core.Max;
import org.tensorflow.op.core.Squeeze;
import org.tensorflow.op.core.Sum;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * Copying: names and rare words come back, at any place of a patch, though they were read
 * at another. A patch embedding mixes a token with its neighbours, so attention over
 * patches does not find it again. Here each of the K places of the next patch attends to
 * the <em>single tokens</em> read so far, and what it reads there is the token's vector
 * in the frozen autoencoder: to attend to a token is to copy it, from the first step of
 * the training on (a pointer, as in Vinyals et al., arXiv 1506.03134). A score of its own
 * stands for copying nothing.
 *
 * <p>
 * A key is made of a token and the one before it, so that "what followed this token the
 * last time" is one look-up. Positions count tokens. {@code R} counts patches, {@code s}
 * is the size of queries and keys, {@code D} that of a token's vector.
 */
final class CopyAttention {

	private static final String NAME = "copy_attention.";

	private static final String OUTPUT = "copy_proj";

	private final Network network;

	private final TokenVectors vectors;

	/** K, the tokens of a patch. */
	private final int patchSize;

	/** The features of a query and of a key. */
	private final int size;

	private final int padId;

	private final double ropeTheta;

	private final Linear query;

	private final Linear key;

	/** The score of copying nothing, {@code [1]}. */
	private final Variable nothing;

	private final Linear output;

	CopyAttention(Network network, CalmConfig config, TokenVectors vectors) {
		this.network = network;
		this.vectors = vectors;
		this.patchSize = config.patchSize();
		this.size = config.copySize();
		this.padId = config.padId();
		this.ropeTheta = config.backbone().ropeTheta();
		long width = config.backbone().hiddenSize();
		this.query = Linear.withoutBias(network, NAME + "q_proj", width, (long) this.patchSize * this.size);
		this.key = Linear.withoutBias(network, NAME + "k_proj", 2 * vectors.size(), this.size);
		this.nothing = network.variables().declare(NAME + "nothing", Initializer.ZEROS, 1);
		this.output = Linear.withoutBias(network, OUTPUT, this.patchSize * vectors.size(), width);
	}

	/** Whether a variable is a parameter of {@link #joined}. */
	static boolean isOutputParameter(String name) {
		return name.startsWith(OUTPUT + ".");
	}

	/** Whether a variable is any parameter of copying. */
	static boolean isParameter(String name) {
		return name.startsWith(NAME) || isOutputParameter(name);
	}

	/**
	 * A layer behind the backbone's: {@code [B·P, d]} to {@code [B·P, d + K·D]}, hidden
	 * states and, beside them, what is copied.
	 */
	BackboneLayer layer(Operand<TInt32> tokens, Operand<TInt32> documents) {
		Path path = begin(tokens, documents);
		return new BackboneLayer(NAME, path::beside);
	}

	/** Copies {@code [R, K·D]} as a part of the hidden states {@code [R, d]}. */
	Operand<TFloat32> joined(Operand<TFloat32> hidden, Operand<TFloat32> copies) {
		return this.network.tf().math.add(hidden, this.output.apply(copies));
	}

	/**
	 * Whole sequences, each patch of which can be continued on a path of its own.
	 * @param tokens {@code [B·P, K]}
	 * @param documents {@code [B, P]}: a patch sees the tokens of its own document
	 */
	Path begin(Operand<TInt32> tokens, Operand<TInt32> documents) {
		return new Path(tokens, documents);
	}

	/**
	 * What is copied behind new patches of some sequences.
	 * @param hidden {@code [A·Q, d]}
	 * @param tokens {@code [A·Q, K]}
	 * @param past what stands before them
	 * @return {@code [A·Q, K·D]}
	 */
	Operand<TFloat32> copies(Operand<TFloat32> hidden, Operand<TInt32> tokens, Past past) {
		Ops tf = this.network.tf();
		int keysSize = this.patchSize * this.size;
		RotaryEmbedding rotary = rotary(past.context() * this.patchSize);

		// caches hold floats, which are exact for every id
		Operand<TInt32> read = tf.dtypes.cast(
				past.remember(this.network, "copy.tokens", this.patchSize, tf.dtypes.cast(tokens, TFloat32.class)),
				TInt32.class); // [A,n,K]
		Operand<TFloat32> keys = keys(tokens, lastBefore(read, past), past.positions(), rotary);
		keys = past.remember(this.network, "copy.keys", keysSize, this.network.reshape(keys, -1, keysSize)); // [A,n,K·s]

		Operand<TFloat32> eachKey = past.perSequence(tf, keys, this.size); // [A,T,s]
		Operand<TFloat32> eachValue = past.perSequence(tf, this.vectors.of(read), (int) this.vectors.size()); // [A,T,D]

		// [A,Q·K,s]
		Operand<TFloat32> q = past.perSequence(tf, queries(hidden, past.positions(), rotary), this.size);
		Operand<TFloat32> weights = weights(
				tf.math.add(this.network.batchMatMulTransposed(q, eachKey), unseen(read, past))); // [A,Q·K,T]
		return this.network.reshape(this.network.batchMatMul(weights, eachValue), -1,
				this.patchSize * this.vectors.size());
	}

	/**
	 * The last token of the patch before each, PAD where there is none: {@code [A·Q, 1]}.
	 * @param read {@code [A, n, K]}, the tokens that can be seen
	 */
	private Operand<TInt32> lastBefore(Operand<TInt32> read, Past past) {
		Ops tf = this.network.tf();
		Operand<TInt32> before = tf.math.sub(past.perSequence(tf, past.positions()), tf.constant(1)); // [A,
																										// Q]
		// [A, n]
		Operand<TInt32> ends = tf.squeeze(tf.slice(read, tf.constant(new int[] { 0, 0, this.patchSize - 1 }),
				tf.constant(new int[] { -1, -1, 1 })), Squeeze.axis(List.of(2L)));
		Operand<TInt32> found = tf.gather(ends, tf.math.maximum(before, tf.constant(0)), tf.constant(1),
				Gather.batchDims(1L));
		Operand<TInt32> none = tf.math.add(tf.zerosLike(found), tf.constant(this.padId));
		return tf.reshape(tf.select(tf.math.less(before, tf.constant(0)), none, found),
				tf.constant(new int[] { -1, 1 }));
	}

	/**
	 * Added to scores {@code [A, Q·K, T]}: a patch sees itself and what stands before it.
	 * @param read {@code [A, n, K]}, the tokens that can be seen
	 */
	private Operand<TFloat32> unseen(Operand<TInt32> read, Past past) {
		Ops tf = this.network.tf();
		Operand<TInt32> count = tf
			.size(tf.slice(read, tf.constant(new int[] { 0, 0, 0 }), tf.constant(new int[] { 1, -1, -1 })));
		Operand<TInt32> each = tf.range(tf.constant(0), count, tf.constant(1)); // [T]
		Operand<TInt32> ends = tf.tile(tf.reshape(ends(past.positions()), tf.constant(new int[] { -1, 1 })),
				tf.constant(new int[] { 1, this.patchSize }));
		return tf.math.mul(tf.dtypes.cast(tf.math.greater(each, past.perSequence(tf, ends, 1)), TFloat32.class),
				tf.constant(CausalAttention.MASKED));
	}

	/**
	 * Queries of the K places behind each patch, at the position of its last token.
	 * @param positions {@code [R]}, of the patches
	 * @return {@code [R, K, s]}
	 */
	private Operand<TFloat32> queries(Operand<TFloat32> hidden, Operand<TInt32> positions, RotaryEmbedding rotary) {
		Ops tf = this.network.tf();
		return rotary.at(tf, ends(positions))
			.rotate(this.network, this.network.reshape(this.query.apply(hidden), -1, this.patchSize, this.size));
	}

	/**
	 * Keys of single tokens.
	 * @param tokens {@code [R, K]}
	 * @param lastBefore {@code [R, 1]}, the token before each patch
	 * @param positions {@code [R]}, of the patches
	 * @return {@code [R·K, 1, s]}
	 */
	private Operand<TFloat32> keys(Operand<TInt32> tokens, Operand<TInt32> lastBefore, Operand<TInt32> positions,
			RotaryEmbedding rotary) {
		Ops tf = this.network.tf();
		Operand<TInt32> before = tf.slice(tf.concat(List.of(lastBefore, tokens), tf.constant(1)),
				tf.constant(new int[] { 0, 0 }), tf.constant(new int[] { -1, this.patchSize }));
		long size = this.vectors.size();
		Operand<TFloat32> keys = tf.math.add(this.key.applyColumns(this.vectors.of(tokens), 0, size),
				this.key.applyColumns(this.vectors.of(before), size, size));
		Operand<TInt32> first = tf.reshape(tf.math.mul(positions, tf.constant(this.patchSize)),
				tf.constant(new int[] { -1, 1 }));
		Operand<TInt32> each = tf.reshape(tf.math.add(first, tf.constant(IntStream.range(0, this.patchSize).toArray())),
				tf.constant(new int[] { -1 }));
		return rotary.at(tf, each).rotate(this.network, this.network.reshape(keys, -1, 1, this.size));
	}

	/** The position of the last token of patches. */
	private Operand<TInt32> ends(Operand<TInt32> positions) {
		Ops tf = this.network.tf();
		return tf.math.add(tf.math.mul(positions, tf.constant(this.patchSize)), tf.constant(this.patchSize - 1));
	}

	/** Scores {@code [..., T]} as shares, of which "nothing" has the rest. */
	private Operand<TFloat32> weights(Operand<TFloat32> scores) {
		Ops tf = this.network.tf();
		Operand<TInt32> last = tf.constant(scores.shape().numDimensions() - 1);
		Operand<TFloat32> scaled = tf.math.mul(scores, tf.constant((float) (1 / Math.sqrt(this.size))));
		Operand<TFloat32> greatest = tf
			.stopGradient(tf.math.maximum(tf.max(scaled, last, Max.keepDims(true)), this.nothing.value()));
		Operand<TFloat32> shares = tf.math.exp(tf.math.sub(scaled, greatest));
		Operand<TFloat32> all = tf.math.add(tf.sum(shares, last, Sum.keepDims(true)),
				tf.math.exp(tf.math.sub(this.nothing.value(), greatest)));
		return tf.math.div(shares, all);
	}

	private RotaryEmbedding rotary(int tokens) {
		return RotaryEmbedding.table(this.network.tf(), tokens, this.size, this.ropeTheta);
	}

	/** Sequences and, behind each of their patches, a path. */
	final class Path {

		private final Network network = CopyAttention.this.network;

		private final int batch;

		private final int patches;

		/** K·P, tokens of a sequence. */
		private final int length;

		/** {@code [B, P, 1, T]}, added to the scores: 0 where a patch sees a token. */
		private final Operand<TFloat32> mask;

		/** {@code [B, T, s]}. */
		private final Operand<TFloat32> keys;

		/** {@code [B, T, D]}. */
		private final Operand<TFloat32> values;

		/** {@code [B·P, K, s]}, of each step on the paths. */
		private final List<Operand<TFloat32>> pathKeys = new ArrayList<>();

		/** {@code [B·P, K, D]} likewise. */
		private final List<Operand<TFloat32>> pathValues = new ArrayList<>();

		/** {@code [B·P, 1]}, the last token of each path. */
		private Operand<TInt32> last;

		private Path(Operand<TInt32> tokens, Operand<TInt32> documents) {
			Ops tf = this.network.tf();
			this.batch = (int) documents.shape().get(0);
			this.patches = (int) documents.shape().get(1);
			this.length = this.patches * CopyAttention.this.patchSize;
			Operand<TFloat32> perPatch = this.network.reshape(CausalAttention.documentMask(tf, documents), this.batch,
					this.patches, this.patches, 1);
			this.mask = this.network.reshape(
					tf.tile(perPatch, tf.constant(new int[] { 1, 1, 1, CopyAttention.this.patchSize })), this.batch,
					this.patches, 1, this.length);
			this.last = lastOf(tokens);
			this.keys = this.network.reshape(
					CopyAttention.this.keys(tokens, lastBefore(documents), positions(0), rotary(this.length)),
					this.batch, this.length, CopyAttention.this.size);
			this.values = this.network.reshape(CopyAttention.this.vectors.of(tokens), this.batch, this.length,
					CopyAttention.this.vectors.size());
		}

		/**
		 * Hidden states and, beside them, what is copied: {@code [B·P, d]} to
		 * {@code [B·P, d + K·D]}.
		 */
		Operand<TFloat32> beside(Operand<TFloat32> hidden) {
			Ops tf = this.network.tf();
			return tf.concat(List.of(hidden, copies(hidden)), tf.constant(1));
		}

		/**
		 * What is copied behind each patch.
		 * @param hidden {@code [B·P, d]}
		 * @return {@code [B·P, K·D]}
		 */
		private Operand<TFloat32> copies(Operand<TFloat32> hidden) {
			Ops tf = this.network.tf();
			long size = CopyAttention.this.patchSize;
			long rows = (long) this.batch * this.patches;
			int steps = this.pathKeys.size();
			Operand<TFloat32> q = queries(hidden, positions(steps),
					rotary(this.length + steps * CopyAttention.this.patchSize)); // [B·P,K,s]
			Operand<TFloat32> shared = this.network.batchMatMulTransposed(
					this.network.reshape(q, this.batch, this.length, CopyAttention.this.size), this.keys);
			shared = tf.math.add(this.network.reshape(shared, this.batch, this.patches, size, this.length), this.mask);
			List<Operand<TFloat32>> scores = new ArrayList<>();
			scores.add(this.network.reshape(shared, rows, size, this.length));
			this.pathKeys.forEach((own) -> scores.add(this.network.batchMatMulTransposed(q, own)));
			Operand<TFloat32> weights = weights((steps == 0) ? scores.get(0) : tf.concat(scores, tf.constant(2)));

			Operand<TFloat32> ofSequence = (steps == 0) ? weights : this.network.columns(weights, 0, this.length);
			Operand<TFloat32> copies = this.network.reshape(this.network
				.batchMatMul(this.network.reshape(ofSequence, this.batch, this.length, this.length), this.values), rows,
					size, CopyAttention.this.vectors.size());
			for (int i = 0; i < steps; i++) {
				Operand<TFloat32> own = this.network.columns(weights, this.length + i * size, size);
				copies = tf.math.add(copies, this.network.batchMatMul(own, this.pathValues.get(i)));
			}
			return this.network.reshape(copies, rows, size * CopyAttention.this.vectors.size());
		}

		/**
		 * One more patch on each path.
		 * @param tokens {@code [B·P, K]}
		 */
		void proceed(Operand<TInt32> tokens) {
			int steps = this.pathKeys.size() + 1;
			long rows = (long) this.batch * this.patches;
			Operand<TFloat32> fresh = CopyAttention.this.keys(tokens, this.last, positions(steps),
					rotary(this.length + steps * CopyAttention.this.patchSize));
			this.pathKeys.add(this.network.reshape(fresh, rows, CopyAttention.this.patchSize, CopyAttention.this.size));
			this.pathValues.add(this.network.reshape(CopyAttention.this.vectors.of(tokens), rows,
					CopyAttention.this.patchSize, CopyAttention.this.vectors.size()));
			this.last = lastOf(tokens);
		}

		/** {@code [B·P]}: of the last patches of paths of some steps. */
		private Operand<TInt32> positions(int steps) {
			return this.network.tf()
				.constant(IntStream.range(0, this.batch * this.patches).map((i) -> i % this.patches + steps).toArray());
		}

		private Operand<TInt32> lastOf(Operand<TInt32> tokens) {
			Ops tf = this.network.tf();
			return tf.slice(tokens, tf.constant(new int[] { 0, CopyAttention.this.patchSize - 1 }),
					tf.constant(new int[] { -1, 1 }));
		}

		/**
		 * The token before each patch, PAD where its document begins: {@code [B·P, 1]}.
		 */
		private Operand<TInt32> lastBefore(Operand<TInt32> documents) {
			Ops tf = this.network.tf();
			Operand<TInt32> pad = tf.constant(CopyAttention.this.padId);
			int[] all = { this.batch, this.patches };
			Operand<TInt32> before = shifted(tf.reshape(this.last, tf.constant(all)), CopyAttention.this.padId);
			return tf.reshape(
					tf.select(tf.math.equal(documents, shifted(documents, -1)), before, tf.fill(tf.constant(all), pad)),
					tf.constant(new int[] { -1, 1 }));
		}

		/** {@code [B, P]}, one place to the right. */
		private Operand<TInt32> shifted(Operand<TInt32> values, int first) {
			Ops tf = this.network.tf();
			Operand<TInt32> column = tf.fill(tf.constant(new int[] { this.batch, 1 }), tf.constant(first));
			return tf.slice(tf.concat(List.of(column, values), tf.constant(1)), tf.constant(new int[] { 0, 0 }),
					tf.constant(new int[] { this.batch, this.patches }));
		}

	}

}

package io.calm.layer;

import java.util.List;

import io.calm.graph.Variable;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Stack;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * Where the new positions of some slots stand in a key/value cache. The cache consists of
 * pages of B positions; a slot has its pages in a row, and a call reads only as many as
 * it needs. {@code A} counts slots, each with {@code Q} new positions.
 *
 * @param queries Q
 * @param positions {@code [A·Q]}, the places in the slots' texts
 * @param writes {@code [A·Q, 2]}, page and place in the page
 * @param pages {@code [A, n]}, the pages to read
 * @param mask {@code [A, 1, Q, n·B]}, added to the scores: 0 where a position sees
 * another
 */
public record CachePlaces(int queries, Operand<TInt32> positions, Operand<TInt32> writes, Operand<TInt32> pages,
		Operand<TFloat32> mask) {

	/**
	 * Derives the places of new patches in the cache.
	 * @param tf where to build
	 * @param queries Q
	 * @param pageSize B
	 * @param pagesPerSlot pages of a slot, all in a row
	 * @param slots {@code [A]}, which slots
	 * @param positions {@code [A·Q]}, the places in the slots' texts
	 * @param pageCount a scalar, n: pages to read
	 * @return the places
	 */
	public static CachePlaces of(Ops tf, int queries, int pageSize, int pagesPerSlot, Operand<TInt32> slots,
			Operand<TInt32> positions, Operand<TInt32> pageCount) {
		Operand<TInt32> size = tf.constant(pageSize);
		// [A, 1]
		Operand<TInt32> firstPages = tf.reshape(tf.math.mul(slots, tf.constant(pagesPerSlot)),
				tf.constant(new int[] { -1, 1 }));
		Operand<TInt32> pages = tf.math.add(firstPages, tf.range(tf.constant(0), pageCount, tf.constant(1)));
		// [A, Q]
		Operand<TInt32> perSlot = tf.reshape(positions, tf.constant(new int[] { -1, queries }));
		Operand<TInt32> page = tf.math.add(firstPages, tf.math.div(perSlot, size));
		Operand<TInt32> flat = tf.constant(new int[] { -1 });
		Operand<TInt32> writes = tf.stack(List.of(tf.reshape(page, flat), tf.reshape(tf.math.mod(perSlot, size), flat)),
				Stack.axis(1L));
		Operand<TInt32> seen = tf.range(tf.constant(0), tf.math.mul(pageCount, size), tf.constant(1));
		Operand<TFloat32> future = tf.dtypes.cast(
				tf.math.greater(seen, tf.reshape(perSlot, tf.constant(new int[] { -1, 1, queries, 1 }))),
				TFloat32.class);
		return new CachePlaces(queries, positions, writes, pages,
				tf.math.mul(future, tf.constant(CausalAttention.MASKED)));
	}

	/**
	 * Writes what new positions are remembered by into a cache, and reads the slots'
	 * pages after that.
	 * @param tf where to build
	 * @param cache in pages: {@code [pages, B, size]}
	 * @param rows {@code [A·Q, size]}
	 * @return {@code [A, n·B, size]}
	 */
	public Operand<TFloat32> remember(Ops tf, Variable cache, Operand<TFloat32> rows) {
		Op written = tf.resourceScatterNdUpdate(cache.handle(), this.writes, rows);
		// [A, n, B, size]; a read of the variable would copy all of it
		Operand<TFloat32> read = tf.withControlDependencies(written)
			.resourceGather(cache.handle(), this.pages, TFloat32.class);
		return perSlot(tf, read, Math.toIntExact(cache.shape()[2]));
	}

	/**
	 * What is known of each slot, as rows of a given shape.
	 * @param tf where to build
	 * @param x {@code [A, ...]}
	 * @param shape of a row
	 * @return {@code [A, rows, shape]}
	 */
	public Operand<TFloat32> perSlot(Ops tf, Operand<TFloat32> x, int... shape) {
		Operand<TInt32> slots = tf.slice(tf.shape(this.pages), tf.constant(new int[] { 0 }),
				tf.constant(new int[] { 1 }));
		return tf.reshape(x,
				tf.concat(List.of(slots, tf.constant(new int[] { -1 }), tf.constant(shape)), tf.constant(0)));
	}

}

package io.calm.layer;

import java.util.List;

import io.calm.graph.Initializer;
import io.calm.graph.Network;
import io.calm.graph.Variable;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Stack;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TType;

/**
 * Where the new positions of some slots stand in a key/value cache. The cache consists of
 * pages of B positions; a slot has its pages in a row, and a call reads only as many as
 * it needs. The sequences are A slots.
 *
 * @param cache how large it is
 * @param queries Q
 * @param positions {@code [A·Q]}, the places in the slots' texts
 * @param writes {@code [A·Q, 2]}, page and place in the page
 * @param pages {@code [A, n]}, the pages to read
 * @param mask {@code [A, 1, Q, n·B]}, added to the scores: 0 where a position sees
 * another
 */
public record CachePlaces(CacheConfig cache, int queries, Operand<TInt32> positions, Operand<TInt32> writes,
		Operand<TInt32> pages, Operand<TFloat32> mask) implements Past {

	/**
	 * Derives the places of new patches in the cache.
	 * @param tf where to build
	 * @param cache how large it is
	 * @param queries Q
	 * @param slots {@code [A]}, which slots
	 * @param positions {@code [A·Q]}, the places in the slots' texts
	 * @param pageCount a scalar, n: pages to read
	 * @return the places
	 */
	public static CachePlaces of(Ops tf, CacheConfig cache, int queries, Operand<TInt32> slots,
			Operand<TInt32> positions, Operand<TInt32> pageCount) {
		Operand<TInt32> size = tf.constant(CacheConfig.PAGE);
		// [A, 1]
		Operand<TInt32> firstPages = tf.reshape(tf.math.mul(slots, tf.constant(cache.pagesPerSlot())),
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
		return new CachePlaces(cache, queries, positions, writes, pages,
				tf.math.mul(future, tf.constant(CausalAttention.MASKED)));
	}

	@Override
	public boolean single() {
		return this.queries == 1;
	}

	@Override
	public int context() {
		return this.cache.context();
	}

	/**
	 * Writes rows into a variable of the cache, and reads the slots' pages after that.
	 */
	@Override
	public Operand<TFloat32> remember(Network network, String name, long size, Operand<TFloat32> rows) {
		Ops tf = network.tf();
		Variable variable = network.variables()
			.declare(CacheConfig.PREFIX + name, Initializer.ZEROS,
					(long) this.cache.slots() * this.cache.pagesPerSlot(), CacheConfig.PAGE, size);
		Op written = tf.resourceScatterNdUpdate(variable.handle(), this.writes, rows);
		// [A, n, B, size]; a read of the variable would copy all of it
		Operand<TFloat32> read = tf.withControlDependencies(written)
			.resourceGather(variable.handle(), this.pages, TFloat32.class);
		return perSequence(tf, read, Math.toIntExact(size));
	}

	@Override
	public <T extends TType> Operand<T> perSequence(Ops tf, Operand<T> x, int... shape) {
		Operand<TInt32> slots = tf.slice(tf.shape(this.pages), tf.constant(new int[] { 0 }),
				tf.constant(new int[] { 1 }));
		return tf.reshape(x,
				tf.concat(List.of(slots, tf.constant(new int[] { -1 }), tf.constant(shape)), tf.constant(0)));
	}

}

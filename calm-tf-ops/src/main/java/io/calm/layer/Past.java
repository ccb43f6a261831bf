package io.calm.layer;

import io.calm.graph.Network;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TType;

/**
 * What stands before new positions of some sequences, and is remembered for those to
 * come. {@code A} counts sequences, each with {@code Q} new positions.
 */
public sealed interface Past permits CachePlaces, NoPast {

	/**
	 * Whether Q is known to be 1.
	 * @return whether each sequence has a single new position
	 */
	boolean single();

	/**
	 * How long a sequence can be.
	 * @return positions
	 */
	int context();

	/**
	 * The places of the new positions in their sequences.
	 * @return {@code [A·Q]}
	 */
	Operand<TInt32> positions();

	/**
	 * What is added to scores of the T positions that can be seen.
	 * @return {@code [A, 1, Q, T]} or {@code [1, 1, Q, T]}: 0 where a position sees
	 * another
	 */
	Operand<TFloat32> mask();

	/**
	 * Remembers something of the new positions, and tells it of all that can be seen.
	 * @param network where to build
	 * @param name of what is remembered
	 * @param size of a row
	 * @param rows {@code [A·Q, size]}
	 * @return {@code [A, T, size]}
	 */
	Operand<TFloat32> remember(Network network, String name, long size, Operand<TFloat32> rows);

	/**
	 * What is known of each sequence, as rows of a given shape.
	 * @param <T> the type of a number
	 * @param tf where to build
	 * @param x {@code [A, ...]}
	 * @param shape of a row
	 * @return {@code [A, rows, shape]}
	 */
	<T extends TType> Operand<T> perSequence(Ops tf, Operand<T> x, int... shape);

}

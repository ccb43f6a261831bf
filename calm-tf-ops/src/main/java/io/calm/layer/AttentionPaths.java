package io.calm.layer;

import java.util.ArrayList;
import java.util.List;

import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;

/**
 * What one layer of attention remembers while every position of whole sequences is
 * continued on a path of its own: the keys and values of the sequences, which all share,
 * and then, for each step, those of every path.
 */
public final class AttentionPaths {

	private final Operand<TFloat32> mask;

	private final List<Operand<TFloat32>> keys = new ArrayList<>();

	private final List<Operand<TFloat32>> values = new ArrayList<>();

	/**
	 * Paths that have not begun.
	 * @param mask {@code [B, 1, P, P]}, what a position sees of its sequence, see
	 * {@link CausalAttention#documentMask}
	 */
	public AttentionPaths(Operand<TFloat32> mask) {
		this.mask = mask;
	}

	Operand<TFloat32> mask() {
		return this.mask;
	}

	/** {@code [B, heads, P, headSize]} each, the sequences' first. */
	List<Operand<TFloat32>> keys() {
		return this.keys;
	}

	List<Operand<TFloat32>> values() {
		return this.values;
	}

	void add(Operand<TFloat32> keys, Operand<TFloat32> values) {
		this.keys.add(keys);
		this.values.add(values);
	}

}

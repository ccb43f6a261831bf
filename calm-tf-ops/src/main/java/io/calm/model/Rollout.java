package io.calm.model;

import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * Continuations of a text from each of its P positions, all of one length and computed
 * together: they share the keys and values of the text, and each sees but its own part of
 * what was appended. {@code B} counts sequences; a row holds the tokens of a position, K
 * for a patch.
 */
public final class Rollout {

	private final Step step;

	private int read;

	Rollout(Step step) {
		this.step = step;
	}

	/**
	 * The next rows: the first time the text's own, then one more for each position.
	 * @param tokens {@code [B·P, …]}: row i is the text's at position i, then what
	 * continues the text after position i
	 * @return their hidden states {@code [B·P, d]}
	 */
	public Operand<TFloat32> append(Operand<TInt32> tokens) {
		return this.step.apply(tokens, this.read++);
	}

	/** A pass through the backbone, which remembers. */
	interface Step {

		/**
		 * Computes hidden states.
		 * @param tokens {@code [B·P, …]}
		 * @param distance between a row and the position that it continues
		 * @return {@code [B·P, d]}
		 */
		Operand<TFloat32> apply(Operand<TInt32> tokens, int distance);

	}

}

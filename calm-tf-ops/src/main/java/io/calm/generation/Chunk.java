package io.calm.generation;

import org.jspecify.annotations.Nullable;

/**
 * What one patch adds to a text.
 *
 * @param index counted from 0
 * @param tokens the new tokens, at most K
 * @param text what has become readable; never half a character, and nothing that the
 * prompt ends with (see {@link GenerationRequest})
 * @param finishReason why it is the last one, or {@code null} if it is not
 */
public record Chunk(int index, int[] tokens, String text, @Nullable FinishReason finishReason) {

	/**
	 * Without the text, which is private.
	 */
	@Override
	public String toString() {
		return "Chunk[index=" + this.index + ", tokens=" + this.tokens.length + ", finishReason=" + this.finishReason
				+ "]";
	}

}

package io.calm.evaluation;

import java.util.Arrays;

/**
 * Makes answers long enough to be compared: behind an EOS they go on with PAD, as a
 * sequence that has ended does for ever.
 *
 * @param eosId the id that ends an answer
 * @param padId the id that stands behind it
 */
record Ending(int eosId, int padId) {

	/**
	 * Continues an answer.
	 * @param answer its tokens, as far as there are any
	 * @param length the length to reach
	 * @return the tokens with PADs behind an EOS; none if the answer is too short and has
	 * none
	 */
	int[] continued(int[] answer, int length) {
		int[] shown = Arrays.copyOf(shown(answer, answer, Math.max(1, answer.length)), length);
		if (answer.length < length) {
			if (!hasEnded(answer, answer.length)) {
				return new int[0];
			}
			Arrays.fill(shown, answer.length, length, this.padId);
		}
		return shown;
	}

	/**
	 * Draws with PADs behind their end.
	 * @param drawn patch by patch
	 * @param path after which each patch was drawn, which may have ended before
	 * @param patchSize K
	 * @return the draws of the same length
	 */
	int[] shown(int[] drawn, int[] path, int patchSize) {
		int[] shown = drawn.clone();
		for (int i = 0; i < shown.length; i++) {
			int patch = i - i % patchSize;
			boolean ended = hasEnded(path, patch);
			for (int j = patch; j < i && !ended; j++) {
				ended = drawn[j] == this.eosId;
			}
			if (ended) {
				shown[i] = this.padId;
			}
		}
		return shown;
	}

	/** Whether there is an EOS among the first tokens. */
	boolean hasEnded(int[] tokens, int length) {
		return Arrays.stream(tokens, 0, length).anyMatch((token) -> token == this.eosId);
	}

	/** The number of tokens up to the first EOS, or another number if there is none. */
	int length(int[] tokens, int otherwise) {
		for (int i = 0; i < tokens.length; i++) {
			if (tokens[i] == this.eosId) {
				return i + 1;
			}
		}
		return otherwise;
	}

}

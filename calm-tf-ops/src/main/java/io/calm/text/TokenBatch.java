package io.calm.text;

/**
 * Blocks of patches of tokens, as a training or evaluation step takes them. The arrays
 * are not copied.
 *
 * @param size the number of blocks B
 * @param patches the number of patches of a block, P
 * @param patchSize the number of tokens of a patch, K
 * @param tokens the ids, [B, P·K]
 * @param documents for each patch the number of its document within its block, from 1; 0
 * for a patch of PAD only, [B, P]
 * @param sources for each patch the index of its document in the {@link TokenStore}; -1
 * for a patch of PAD only, [B, P]
 * @param counted for each patch 1 if it is to be learned or scored, 0 if it is given, as
 * a prompt is, or of PAD only, [B, P]
 */
public record TokenBatch(int size, int patches, int patchSize, int[] tokens, int[] documents, int[] sources,
		int[] counted) {

	/**
	 * Checks that all parts belong to one batch.
	 * @throws IllegalArgumentException if an array has another length than its shape says
	 */
	public TokenBatch {
		if (tokens.length != size * patches * patchSize || documents.length != size * patches
				|| sources.length != size * patches || counted.length != size * patches) {
			throw new IllegalArgumentException(
					"the arrays do not have the shape of %d blocks of %d patches of %d tokens".formatted(size, patches,
							patchSize));
		}
	}

}

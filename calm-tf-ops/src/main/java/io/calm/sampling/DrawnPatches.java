package io.calm.sampling;

import java.util.Arrays;

/**
 * The draws of one sampling, handed out one by one and in order while the source is asked
 * for batches of them. The batches double, so that few calls are made and at most about
 * half of the draws, or the first batch, are made in vain.
 */
final class DrawnPatches {

	/** Instead of a draw: the budget is spent. */
	static final int NONE = -1;

	private static final int MAX_BATCH = 1024;

	private final PatchSource source;

	private final int budget;

	private int batch;

	private int[] tokens = new int[0];

	private int patchSize;

	private int drawn;

	private int used;

	DrawnPatches(PatchSource source, int budget, int firstBatch) {
		this.source = source;
		this.budget = budget;
		this.batch = firstBatch;
	}

	/** The number of the next draw, or NONE. */
	int next() {
		if (this.used == this.drawn) {
			if (this.drawn == this.budget) {
				return NONE;
			}
			draw(Math.min(this.batch, this.budget - this.drawn));
			this.batch = Math.max(this.batch, Math.min(2 * this.batch, MAX_BATCH));
		}
		return this.used++;
	}

	private void draw(int count) {
		int[] more = this.source.draw(count);
		int size = PatchCounts.patchSize(more, count);
		if (this.drawn > 0 && size != this.patchSize) {
			throw new IllegalStateException(
					"The source returned patches of " + this.patchSize + " tokens, then of " + size);
		}
		this.patchSize = size;
		int from = this.drawn * size;
		int length = Math.addExact(from, more.length);
		if (this.tokens.length < length) {
			this.tokens = Arrays.copyOf(this.tokens, Math.max(length, 2 * this.tokens.length));
		}
		System.arraycopy(more, 0, this.tokens, from, more.length);
		this.drawn += count;
	}

	int used() {
		return this.used;
	}

	boolean same(int draw, int other) {
		return PatchCounts.same(this.tokens, this.patchSize, draw, other);
	}

	int[] patch(int draw) {
		return Arrays.copyOfRange(this.tokens, draw * this.patchSize, (draw + 1) * this.patchSize);
	}

	PatchCounts counts() {
		return new PatchCounts(this.tokens, this.patchSize, this.drawn);
	}

}

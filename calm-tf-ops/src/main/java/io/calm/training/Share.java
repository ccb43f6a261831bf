package io.calm.training;

import java.util.ArrayList;
import java.util.List;

import io.calm.cluster.Workers;
import io.calm.input.InvalidInputException;
import io.calm.text.TokenBatch;
import io.calm.text.TokenBlocks;
import org.jspecify.annotations.Nullable;

/**
 * What a worker does of each step. A step's sequences are cut into parts, one after the
 * other, which the workers take in turn. A part is computed by itself, with draws of its
 * own: with as many micro-batches of its size, one worker would do the same.
 *
 * @param parts of a step
 * @param rows sequences of a part
 * @param workers how many there are
 * @param worker which one this is, from 0
 */
record Share(int parts, int rows, int workers, int worker) {

	/**
	 * The share of a worker. Micro-batches are parts if the workers can share them out
	 * evenly. If not, each is cut.
	 * @param options of the training
	 * @param workers who they are; null for one that does everything
	 * @throws InvalidInputException if the batch cannot be cut
	 */
	static Share of(TrainingOptions options, @Nullable Workers workers) {
		int count = (workers != null) ? workers.count() : 1;
		int cuts = count / greatestDivisor(options.accumulation(), count);
		if (options.batch() % cuts != 0) {
			throw new InvalidInputException("training, batch",
					"is " + options.batch() + ", which " + count + " workers cannot share out",
					"choose a multiple of " + cuts + ", or an accumulation that is a multiple of " + count);
		}
		return new Share(options.accumulation() * cuts, options.batch() / cuts, count,
				(workers != null) ? workers.index() : 0);
	}

	private static int greatestDivisor(int one, int other) {
		return (other == 0) ? one : greatestDivisor(other, one % other);
	}

	/** Parts of a step that this worker does. */
	int ownParts() {
		return this.parts / this.workers;
	}

	/**
	 * A part of a step.
	 *
	 * @param number counted over all steps; the draws depend on it
	 * @param batch what it sees
	 */
	record Part(long number, TokenBatch batch) {
	}

	/** This worker's parts of a step, which is counted from 1. */
	List<Part> of(TokenBlocks blocks, long step) {
		List<Part> own = new ArrayList<>();
		for (int part = this.worker; part < this.parts; part += this.workers) {
			own.add(new Part(step * this.parts + part, blocks.batch(this.rows, (step - 1) * this.parts + part)));
		}
		return own;
	}

}

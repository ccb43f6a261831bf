package io.calm.generation;

import java.util.Arrays;
import java.util.SplittableRandom;

import io.calm.model.CalmConfig;
import io.calm.sampling.PatchSampler;
import io.calm.sampling.PatchSource;
import io.calm.sampling.SampledPatch;

/**
 * The draws for one patch of one slot, the first of them from the call that took the
 * patch before it in.
 */
final class PatchDraws implements PatchSource {

	/**
	 * Draws for the completion of an open patch, before one that nearly fits is taken.
	 */
	private static final int COMPLETION_DRAWS = 4096;

	private static final int COMPLETION_BATCH = 256;

	private final Slot slot;

	private final CalmConfig config;

	private final PatchProgram program;

	private final PatchSampler sampler;

	private final SplittableRandom random;

	private int[] ready = {};

	PatchDraws(Slot slot, CalmConfig config, PatchProgram program) {
		this.slot = slot;
		this.config = config;
		this.program = program;
		this.sampler = slot.request().sampling().ofPatches();
		this.random = slot.random(slot.position(), Slot.NOISE);
	}

	/** The noise of the draws that are needed first. */
	float[] firstNoise() {
		return noise((this.slot.open().length > 0) ? COMPLETION_BATCH : this.sampler.firstDraws());
	}

	/** Whether the tokens of all these draws are required, or only of those repeated. */
	boolean requiresAll() {
		return this.slot.open().length > 0 || !this.sampler.ignoresUnrepeated();
	}

	private float[] noise(int count) {
		return this.config.noise().draw(this.random, count);
	}

	/** Chooses a patch, of which the first draws are given. */
	int[] choose(int[] first) {
		this.ready = first;
		if (this.slot.open().length > 0) {
			return complete(this.slot.open());
		}
		SampledPatch chosen = this.sampler.sample(this, this.slot.random(this.slot.position() + 1, Slot.CHOICE));
		if (chosen.fellBack()) {
			this.slot.stream().countApproximate();
		}
		return chosen.tokens();
	}

	@Override
	public int[] draw(int count) {
		int size = this.config.patchSize();
		int missing = count - this.ready.length / size;
		if (missing > 0) {
			int[] more = this.program.drawMore(this.slot.number(), noise(missing));
			int[] all = Arrays.copyOf(this.ready, count * size);
			System.arraycopy(more, 0, all, this.ready.length, more.length);
			this.ready = all;
		}
		int[] taken = Arrays.copyOf(this.ready, count * size);
		this.ready = Arrays.copyOfRange(this.ready, count * size, this.ready.length);
		return taken;
	}

	/**
	 * A patch that begins with the open end of the prompt: the first such draw. If there
	 * is none among very many, the one that agrees longest is made to fit.
	 */
	private int[] complete(int[] open) {
		int size = this.config.patchSize();
		int[] best = new int[0];
		int bestAgreement = -1;
		for (int drawn = 0; drawn < COMPLETION_DRAWS && bestAgreement < open.length; drawn += COMPLETION_BATCH) {
			int[] tokens = draw(COMPLETION_BATCH);
			for (int from = 0; from < tokens.length && bestAgreement < open.length; from += size) {
				int difference = Arrays.mismatch(open, 0, open.length, tokens, from, from + open.length);
				int agreement = (difference < 0) ? open.length : difference;
				if (agreement > bestAgreement) {
					bestAgreement = agreement;
					best = Arrays.copyOfRange(tokens, from, from + size);
				}
			}
		}
		System.arraycopy(open, 0, best, 0, open.length);
		return best;
	}

}

package io.calm.generation;

import java.util.Arrays;
import java.util.SplittableRandom;

import io.calm.model.CalmConfig;
import io.calm.sampling.PatchSource;
import io.calm.text.StreamingDecoder;
import io.calm.text.Tokenizer;
import org.jspecify.annotations.Nullable;

/**
 * One text on its way through the engine: what of it is still to be taken into the cache,
 * where it stands, and what its reader is owed.
 */
final class Slot {

	/**
	 * Draws for the completion of an open patch, before one that nearly fits is taken.
	 */
	private static final int COMPLETION_DRAWS = 4096;

	private static final int COMPLETION_BATCH = 256;

	/** Of what the draws are made. */
	static final long NOISE = 0x6e6f697365L;

	private static final long CHOICE = 0x63686f696365L;

	private final int number;

	private final GenerationRequest request;

	private final GenerationStream stream;

	private final CalmConfig config;

	private final int context;

	private final StreamingDecoder decoder;

	private final StopStrings stops;

	/** Patches that are not yet in the cache: the rest of the prompt, or the last one. */
	private int[] pending;

	/** Tokens of the prompt that the next patch has to begin with. */
	private int[] open;

	/** Patches in the cache. */
	private int position;

	private int remaining;

	private int index;

	private boolean finished;

	/** What the reader has not got yet. */
	private @Nullable Chunk fresh;

	/** The draws for the patch at hand. */
	private @Nullable Draws draws;

	Slot(int number, GenerationRequest request, Prompt prompt, GenerationStream stream, CalmConfig config, int context,
			Tokenizer tokenizer) {
		this.number = number;
		this.request = request;
		this.stream = stream;
		this.config = config;
		this.context = context;
		this.decoder = new StreamingDecoder(tokenizer);
		this.stops = new StopStrings(request.stop());
		this.pending = prompt.patches();
		this.open = prompt.open();
		this.remaining = request.maxNewTokens();
	}

	int number() {
		return this.number;
	}

	GenerationStream stream() {
		return this.stream;
	}

	int position() {
		return this.position;
	}

	boolean finished() {
		return this.finished;
	}

	/** Whether more than the last patch has to be taken in. */
	boolean inPrompt() {
		return this.pending.length > this.config.patchSize();
	}

	/** Takes the next part of the prompt into the cache, without its last patch. */
	void prefill(PatchProgram program) {
		int size = this.config.patchSize();
		int patches = Math.min(PatchProgram.PREFILL, this.pending.length / size - 1);
		program.prefill(this.number, Arrays.copyOf(this.pending, patches * size), this.position);
		this.pending = Arrays.copyOfRange(this.pending, patches * size, this.pending.length);
		this.position += patches;
	}

	/** The patch to take in next. */
	int[] patch() {
		return this.pending;
	}

	/** Begins the draws for the next patch: the noise of those that are needed first. */
	float[] firstNoise() {
		Draws begun = new Draws();
		this.draws = begun;
		return begun.noise((this.open.length > 0) ? COMPLETION_BATCH : this.request.sampler().firstDraws());
	}

	/**
	 * Chooses the next patch; {@link #deliver()} gives the reader what it adds to the
	 * text.
	 * @param first the first draws
	 * @param program draws more if need be
	 */
	void choose(int[] first, PatchProgram program) {
		Draws begun = this.draws;
		if (begun == null) {
			throw new IllegalStateException("no draws were begun");
		}
		begun.ready(first, program);
		this.position++;
		int[] patch = (this.open.length > 0) ? complete(begun)
				: this.request.sampler().sample(begun, random(CHOICE)).tokens();
		this.pending = patch;
		int[] added = Arrays.copyOfRange(patch, this.open.length, patch.length);
		this.open = new int[0];
		int length = Math.min(added.length, this.remaining);
		FinishReason reason = (length == this.remaining || this.position >= this.context) ? FinishReason.LENGTH : null;
		for (int i = 0; i < length; i++) {
			if (added[i] == this.config.eosId()) {
				length = i;
				reason = FinishReason.END;
			}
		}
		this.remaining -= length;
		give(Arrays.copyOf(added, length), reason);
	}

	/** Gives the reader what is new. */
	void deliver() {
		if (this.fresh != null) {
			this.stream.add(this.fresh);
			this.fresh = null;
		}
	}

	/** Ends the text from outside. */
	void end(FinishReason reason) {
		give(new int[0], reason);
		deliver();
	}

	/** Ends the text without a word to its reader, who does not listen any more. */
	void abandon() {
		this.finished = true;
	}

	void fail(RuntimeException failure) {
		this.finished = true;
		this.stream.fail(failure);
	}

	private void give(int[] tokens, @Nullable FinishReason reason) {
		String text = this.decoder.append(tokens);
		text = this.stops.append((reason != null) ? text + this.decoder.flush() : text);
		FinishReason ending = this.stops.found() ? FinishReason.STOP : reason;
		this.finished = ending != null;
		if (this.finished && !this.stops.found()) {
			text += this.stops.flush();
		}
		this.fresh = new Chunk(this.index++, tokens, text, ending);
	}

	/**
	 * A patch that begins with the open end of the prompt: the first such draw. If there
	 * is none among very many, the one that agrees longest is made to fit.
	 */
	private int[] complete(Draws begun) {
		int size = this.config.patchSize();
		int[] best = new int[0];
		int bestAgreement = -1;
		for (int drawn = 0; drawn < COMPLETION_DRAWS && bestAgreement < this.open.length; drawn += COMPLETION_BATCH) {
			int[] tokens = begun.draw(COMPLETION_BATCH);
			for (int from = 0; from < tokens.length && bestAgreement < this.open.length; from += size) {
				int difference = Arrays.mismatch(this.open, 0, this.open.length, tokens, from, from + this.open.length);
				int agreement = (difference < 0) ? this.open.length : difference;
				if (agreement > bestAgreement) {
					bestAgreement = agreement;
					best = Arrays.copyOfRange(tokens, from, from + size);
				}
			}
		}
		System.arraycopy(this.open, 0, best, 0, this.open.length);
		return best;
	}

	private SplittableRandom random(long purpose) {
		return random(this.request.seed(), this.position, purpose);
	}

	/** Depends on request and position only, not on what else the engine does. */
	static SplittableRandom random(long seed, int position, long purpose) {
		return new SplittableRandom(new SplittableRandom(seed ^ purpose).nextLong() + position);
	}

	/**
	 * The draws for one patch, the first of them from the call that took the last one in.
	 */
	private final class Draws implements PatchSource {

		private final SplittableRandom random = random(NOISE);

		private @Nullable PatchProgram program;

		private int[] ready = new int[0];

		float[] noise(int count) {
			return Slot.this.config.head().noise().draw(this.random, count);
		}

		void ready(int[] drawn, PatchProgram program) {
			this.ready = drawn;
			this.program = program;
		}

		@Override
		public int[] draw(int count) {
			int size = Slot.this.config.patchSize();
			int missing = count - this.ready.length / size;
			if (missing > 0 && this.program != null) {
				int[] more = this.program.drawMore(Slot.this.number, noise(missing));
				int[] all = Arrays.copyOf(this.ready, count * size);
				System.arraycopy(more, 0, all, this.ready.length, more.length);
				this.ready = all;
			}
			int[] taken = Arrays.copyOf(this.ready, count * size);
			this.ready = Arrays.copyOfRange(this.ready, count * size, this.ready.length);
			return taken;
		}

	}

}

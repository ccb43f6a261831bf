package io.calm.generation;

import java.util.Arrays;
import java.util.BitSet;
import java.util.SplittableRandom;

import io.calm.model.LanguageModelConfig;
import io.calm.text.StreamingDecoder;
import io.calm.text.Tokenizer;
import org.jspecify.annotations.Nullable;

/**
 * One text on its way through the engine: what of it is still to be taken into the cache,
 * where it stands, and what its reader is owed.
 */
final class Slot {

	/** Of what the draws are made. */
	static final long NOISE = 0x6e6f697365L;

	/** Of what the samplers' own choices are made. */
	static final long CHOICE = 0x63686f696365L;

	private final int number;

	private final GenerationRequest request;

	private final GenerationStream stream;

	private final LanguageModelConfig config;

	private final int context;

	private final BitSet ends;

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

	Slot(int number, GenerationRequest request, Prompt prompt, GenerationStream stream, LanguageModelConfig config,
			int context, Tokenizer tokenizer, BitSet ends) {
		this.number = number;
		this.request = request;
		this.stream = stream;
		this.config = config;
		this.context = context;
		this.ends = ends;
		this.decoder = new StreamingDecoder(tokenizer, prompt.tokens(), prompt.space());
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
	void prefill(ModelProgram program) {
		int size = this.config.patchSize();
		int patches = Math.min(ModelProgram.PREFILL, this.pending.length / size - 1);
		program.prefill(this.number, Arrays.copyOf(this.pending, patches * size), this.position);
		this.pending = Arrays.copyOfRange(this.pending, patches * size, this.pending.length);
		this.position += patches;
	}

	GenerationRequest request() {
		return this.request;
	}

	/** The patch to take in next. */
	int[] patch() {
		return this.pending;
	}

	/** Tokens that the patch after it has to begin with. */
	int[] open() {
		return this.open;
	}

	/**
	 * Takes what the model chose, now that the last patch is in the cache;
	 * {@link #deliver()} gives the reader what it adds to the text.
	 * @param patch {@code [K]}
	 */
	void accept(int[] patch) {
		this.position++;
		this.pending = patch;
		int[] added = Arrays.copyOfRange(patch, this.open.length, patch.length);
		this.open = new int[0];
		int length = Math.min(added.length, this.remaining);
		FinishReason reason = (length == this.remaining || this.position >= this.context) ? FinishReason.LENGTH : null;
		for (int i = 0; i < length; i++) {
			if (this.ends.get(added[i])) {
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

	/** Depends on request and position only, not on what else the engine does. */
	SplittableRandom random(int position, long purpose) {
		return random(this.request.seed(), position, purpose);
	}

	static SplittableRandom random(long seed, int position, long purpose) {
		return new SplittableRandom(new SplittableRandom(seed ^ purpose).nextLong() + position);
	}

}

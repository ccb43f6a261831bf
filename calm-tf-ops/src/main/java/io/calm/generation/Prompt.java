package io.calm.generation;

import java.util.Arrays;

import io.calm.model.LanguageModelConfig;
import io.calm.text.Tokenizer;

/**
 * The beginning of a text as the model takes it in.
 *
 * @param patches {@code [n, K]}, n ≥ 1
 * @param open tokens that the patch after them has to begin with, fewer than K
 * @param tokens the text in them, without BOS and PADs
 * @param space white space at the end of the text that is in no token
 */
record Prompt(int[] patches, int[] open, int[] tokens, String space) {

	/** Something that white space may become one token with. */
	private static final String WORD = "a";

	/**
	 * A text whose end does not keep the model from going on as in its training, where a
	 * space and the word after it are mostly one token, and a space alone is a rare one.
	 * So white space at the end is left to the continuation, as far as it would be other
	 * tokens if a word came next.
	 */
	static Prompt of(String text, Tokenizer tokenizer, LanguageModelConfig config, boolean leftPadded) {
		String words = text.stripTrailing();
		String space = text.substring(words.length());
		int[] tokens = tokenizer.encode(words);
		if (!space.isEmpty()) {
			int[] whole = tokenizer.encode(text);
			int kept = Arrays.mismatch(whole, tokenizer.encode(text + WORD));
			if (kept > tokens.length && Arrays.equals(tokens, Arrays.copyOf(whole, tokens.length))) {
				int[] more = Arrays.copyOf(whole, kept);
				String before = tokenizer.decode(tokens);
				String written = tokenizer.decode(more);
				if ((before + space).startsWith(written)) {
					tokens = more;
					space = space.substring(Math.max(0, written.length() - before.length()));
				}
			}
		}
		Prompt prompt = of(tokens, config, leftPadded);
		return new Prompt(prompt.patches, prompt.open, tokens, space);
	}

	/**
	 * BOS and a text. A model that was trained with PADs before its documents gets PADs
	 * up to a whole number of patches. Another one knows no PAD: it has to complete the
	 * last patch, unless that is the only one.
	 */
	static Prompt of(int[] text, LanguageModelConfig config, boolean leftPadded) {
		int size = config.patchSize();
		int length = text.length + 1;
		int rest = length % size;
		boolean complete = !leftPadded && length > size;
		int pads = (complete || rest == 0) ? 0 : size - rest;
		int[] tokens = new int[pads + length];
		Arrays.fill(tokens, 0, pads, config.padId());
		tokens[pads] = config.bosId();
		System.arraycopy(text, 0, tokens, pads + 1, text.length);
		int closed = tokens.length - (complete ? rest : 0);
		return new Prompt(Arrays.copyOf(tokens, closed), Arrays.copyOfRange(tokens, closed, tokens.length), text, "");
	}

}

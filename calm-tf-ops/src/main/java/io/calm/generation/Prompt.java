package io.calm.generation;

import java.util.Arrays;

import io.calm.model.LanguageModelConfig;
import io.calm.text.PromptTokens;
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

	/** The prompt of a request, with the special tokens that it may name. */
	static Prompt of(GenerationRequest request, Tokenizer tokenizer, LanguageModelConfig config, boolean leftPadded) {
		return request.specialTokens() ? of(PromptTokens.withSpecial(request.prompt(), tokenizer), config, leftPadded)
				: of(request.prompt(), tokenizer, config, leftPadded);
	}

	/**
	 * The tokens of a text, without the white space at its end that belongs to a word.
	 */
	static Prompt of(String text, Tokenizer tokenizer, LanguageModelConfig config, boolean leftPadded) {
		return of(PromptTokens.of(text, tokenizer), config, leftPadded);
	}

	private static Prompt of(PromptTokens tokens, LanguageModelConfig config, boolean leftPadded) {
		Prompt prompt = of(tokens.ids(), config, leftPadded);
		return new Prompt(prompt.patches, prompt.open, tokens.ids(), tokens.space());
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

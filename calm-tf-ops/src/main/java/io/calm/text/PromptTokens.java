package io.calm.text;

import java.util.Arrays;

/**
 * The tokens of a prompt whose end does not keep a model from going on as in its
 * training. A space and the word after it are mostly one token, and a space alone is a
 * rare one. So white space at the end is left to what follows, as far as it would be
 * other tokens if a word came next. Training and generation divide a text here alike.
 *
 * @param ids the tokens, without BOS
 * @param space white space at the end of the prompt that is in none of them: the text
 * that follows begins with it
 */
public record PromptTokens(int[] ids, String space) {

	/** Something that white space may become one token with. */
	private static final String WORD = "a";

	/**
	 * Divides a prompt.
	 * @param text the prompt, may be empty
	 * @param tokenizer of the model
	 * @return its tokens
	 */
	public static PromptTokens of(String text, Tokenizer tokenizer) {
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
		return new PromptTokens(tokens, space);
	}

}

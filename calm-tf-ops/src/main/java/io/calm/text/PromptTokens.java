package io.calm.text;

import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

import io.calm.input.InvalidInputException;

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

	/** Stands before a special token that a prompt names: no character, so in no text. */
	public static final char SPECIAL = '\uFDD0';

	/** Stands behind a special token that a prompt names. */
	public static final char SPECIAL_END = '\uFDD1';

	private static final Pattern NAMED = Pattern.compile(SPECIAL + "([^" + SPECIAL + SPECIAL_END + "]*)" + SPECIAL_END);

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

	/**
	 * Divides a prompt that names special tokens, between {@link #SPECIAL} and
	 * {@link #SPECIAL_END}. A BOS at its beginning is left out.
	 * @param text the prompt, may be empty
	 * @param tokenizer of the model
	 * @return its tokens
	 * @throws InvalidInputException if the tokenizer has no such special token
	 */
	public static PromptTokens withSpecial(String text, Tokenizer tokenizer) {
		IntStream.Builder ids = IntStream.builder();
		Matcher named = NAMED.matcher(text);
		int from = 0;
		while (named.find()) {
			Arrays.stream(tokenizer.encode(text.substring(from, named.start()))).forEach(ids);
			Integer id = tokenizer.specialTokens().get(named.group(1));
			if (id == null) {
				throw new InvalidInputException("prompt", "names a special token that the tokenizer does not have",
						"name one of tokenizer.json");
			}
			if (named.start() > 0 || id != tokenizer.bosId()) {
				ids.add(id);
			}
			from = named.end();
		}
		PromptTokens end = of(text.substring(from), tokenizer);
		Arrays.stream(end.ids).forEach(ids);
		return new PromptTokens(ids.build().toArray(), end.space);
	}

}

package io.calm.text;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Turns tokens into text while they are generated. Text is given out once it can no
 * longer change: half a character, of which a later token holds the rest, is kept back.
 * All that is given out, put together, is what {@link Tokenizer#decode} makes of all
 * tokens; of a text that goes on from tokens before it, what the new ones add to that.
 * The cost of a token does not depend on how many went before. For one thread.
 */
public final class StreamingDecoder {

	private static final String INCOMPLETE = "\uFFFD";

	/** A character has four bytes at most: so many tokens without one are not text. */
	private static final int MAX_PENDING = 8;

	private final Tokenizer tokenizer;

	/**
	 * The tokens of the last text given out, then those still pending. The former are
	 * kept because some tokenizers decode a token differently at the beginning of a text.
	 */
	private final List<Integer> window = new ArrayList<>();

	/** How many tokens of the window have been given out. */
	private int done;

	/** How many characters these make. */
	private int doneLength;

	/** What the reader has already of the text to come. */
	private String given = "";

	/**
	 * A decoder for one text.
	 * @param tokenizer the tokenizer of the tokens; not closed by the decoder
	 */
	public StreamingDecoder(Tokenizer tokenizer) {
		this.tokenizer = tokenizer;
	}

	/**
	 * A decoder for the continuation of a text: many tokenizers write a space between two
	 * words and none at the beginning.
	 * @param tokenizer the tokenizer of the tokens; not closed by the decoder
	 * @param before the tokens that the text begins with, which are not given out
	 * @param given what the reader has of the continuation, such as white space that the
	 * tokens before do not contain: as far as the continuation begins with it, it is not
	 * given out again
	 */
	public StreamingDecoder(Tokenizer tokenizer, int[] before, String given) {
		this(tokenizer);
		for (int id : Arrays.copyOfRange(before, Math.max(0, before.length - 2 * MAX_PENDING), before.length)) {
			if (!isFrame(id)) {
				this.window.add(id);
			}
		}
		this.done = this.window.size();
		this.doneLength = decode(0, this.done).length();
		this.given = given;
	}

	/**
	 * Takes the next tokens.
	 * @param ids the ids, any number of them; special tokens make no text
	 * @return the text that has become final, often empty
	 * @throws IllegalArgumentException if an id is not in the vocabulary
	 */
	public String append(int... ids) {
		StringBuilder text = new StringBuilder();
		for (int id : ids) {
			text.append(next(id));
		}
		return withoutGiven(text.toString());
	}

	/**
	 * Ends the text. The decoder may then be used for another one.
	 * @return the rest of the text; half a character becomes U+FFFD
	 */
	public String flush() {
		String rest = withoutGiven(newText(decode(0, this.window.size())));
		this.window.clear();
		this.done = 0;
		this.doneLength = 0;
		this.given = "";
		return rest;
	}

	private String withoutGiven(String fresh) {
		int end = Math.min(fresh.length(), this.given.length());
		int difference = Arrays.mismatch(fresh.toCharArray(), 0, end, this.given.toCharArray(), 0, end);
		int same = (difference < 0) ? end : difference;
		this.given = (difference < 0) ? this.given.substring(same) : "";
		return fresh.substring(same);
	}

	private boolean isFrame(int id) {
		return id == this.tokenizer.padId() || id == this.tokenizer.bosId() || id == this.tokenizer.eosId();
	}

	private String next(int id) {
		if (isFrame(id)) {
			return "";
		}
		this.window.add(id);
		int size = this.window.size();
		String text = decode(0, size);
		if (!text.endsWith(INCOMPLETE)) {
			return giveOut(text, size);
		}
		if (size - this.done >= MAX_PENDING) {
			// bytes that are no UTF-8: give out what the next tokens cannot change
			for (int cut = size - 1; cut > this.done; cut--) {
				String head = decode(0, cut);
				if (text.equals(head + decode(cut, size))) {
					return giveOut(head, cut);
				}
			}
		}
		return "";
	}

	private String giveOut(String text, int tokens) {
		String fresh = newText(text);
		// a token without text, such as a special one, is no context for the next
		int superfluous = (fresh.isEmpty() && tokens < 2 * MAX_PENDING) ? 0 : this.done;
		this.window.subList(0, superfluous).clear();
		this.done = tokens - superfluous;
		this.doneLength = decode(0, this.done).length();
		return fresh;
	}

	private String newText(String text) {
		return text.substring(Math.min(this.doneLength, text.length()));
	}

	private String decode(int from, int to) {
		return this.tokenizer.decode(this.window.subList(from, to).stream().mapToInt(Integer::intValue).toArray());
	}

}

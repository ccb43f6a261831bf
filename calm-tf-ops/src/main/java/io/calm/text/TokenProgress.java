package io.calm.text;

/** Follows a corpus that is made into tokens, which may take hours. */
@FunctionalInterface
public interface TokenProgress {

	/**
	 * Called every few megabytes of text, on the thread that waits for the tokens.
	 * @param bytes of the files that have been read, as they are stored
	 * @param ofBytes how many there are; the same in the last call
	 * @param tokens made so far
	 */
	void onTokens(long bytes, long ofBytes, long tokens);

}

package io.calm.text;

import java.util.List;
import java.util.stream.Collectors;

/**
 * The form in which a conversation becomes a prompt, in training and in use: the texts of
 * its messages, one below the other, without names of roles. The answer follows the last
 * of them.
 */
public final class PlainChat {

	private PlainChat() {
	}

	/**
	 * Turns messages into a prompt.
	 * @param messages the texts of the messages, the last one last; empty ones are left
	 * out
	 * @return the beginning of a text
	 */
	public static String prompt(List<String> messages) {
		return messages.stream().filter((text) -> !text.isEmpty()).collect(Collectors.joining("\n"));
	}

}

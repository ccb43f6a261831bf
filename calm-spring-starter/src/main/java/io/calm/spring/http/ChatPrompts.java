package io.calm.spring.http;

import java.util.List;

import io.calm.text.PlainChat;

/**
 * Turns a chat into the beginning of a text.
 */
@FunctionalInterface
interface ChatPrompts {

	/** The texts one below the other, for a model that has only read documents. */
	ChatPrompts PLAIN = (messages) -> new Prompt(PlainChat.prompt(messages.stream().map(ChatMessage::text).toList()),
			false);

	Prompt prompt(List<ChatMessage> messages);

	/**
	 * The beginning of a text.
	 *
	 * @param text as the model continues it
	 * @param namesSpecialTokens whether it names special tokens
	 */
	record Prompt(String text, boolean namesSpecialTokens) {
	}

}

package io.calm.spring.http;

import java.util.List;
import java.util.stream.Collectors;

/**
 * Turns a chat into the beginning of a text.
 */
@FunctionalInterface
interface ChatPrompts {

	/** The texts one below the other, for a model that has only read documents. */
	ChatPrompts PLAIN = (messages) -> messages.stream()
		.map(ChatMessage::text)
		.filter((text) -> !text.isEmpty())
		.collect(Collectors.joining("\n"));

	String prompt(List<ChatMessage> messages);

}

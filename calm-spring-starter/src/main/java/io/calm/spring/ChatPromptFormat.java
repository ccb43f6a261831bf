package io.calm.spring;

import java.util.List;
import java.util.Objects;

import io.calm.text.PlainChat;

import org.springframework.ai.chat.messages.Message;

/**
 * Turns the messages of a chat into the beginning of a text. By default, that is done by
 * the template that came with the model, see {@link ChatTemplates}; a bean of this type
 * takes its place.
 */
@FunctionalInterface
public interface ChatPromptFormat {

	/**
	 * The texts of the messages, one below the other: what a model that has only read
	 * documents can continue, and the form in which conversations are trained on.
	 */
	ChatPromptFormat PLAIN = (messages) -> PlainChat
		.prompt(messages.stream().map((message) -> Objects.requireNonNullElse(message.getText(), "")).toList());

	/**
	 * Turns a conversation into the prompt that the model continues.
	 * @param messages of the chat, the last one last
	 * @return the beginning of the text
	 */
	String format(List<Message> messages);

	/**
	 * Whether the prompts name special tokens: see
	 * {@link io.calm.generation.GenerationRequest.Builder#specialTokens}. Then nothing
	 * that stands in a message may look as if it did.
	 * @return false by default
	 */
	default boolean namesSpecialTokens() {
		return false;
	}

}

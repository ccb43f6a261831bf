package io.calm.spring;

import java.util.List;
import java.util.Map;
import java.util.Set;

import io.calm.input.InvalidInputException;
import io.calm.text.ChatTemplate;
import io.calm.text.PlainChat;
import io.calm.text.PromptTokens;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

import org.springframework.util.ClassUtils;

/**
 * Makes a prompt of a chat: by the template that came with the model, or with the texts
 * of the messages one below the other if there is none. The special tokens of a template
 * are named in the prompt; what a message spells out stays text.
 */
public final class ChatTemplates {

	private static final Logger LOG = LoggerFactory.getLogger(ChatTemplates.class);

	private static final boolean RENDERS = ClassUtils.isPresent("com.hubspot.jinjava.Jinjava",
			ChatTemplates.class.getClassLoader());

	private final ServedModel model;

	ChatTemplates(ServedModel model) {
		this.model = model;
	}

	/**
	 * Makes the prompt that the model continues with an answer.
	 * @param messages each with its {@code role} and {@code content}, the last one last
	 * @return a prompt for a request with
	 * {@link io.calm.generation.GenerationRequest.Builder#specialTokens}
	 * @throws InvalidInputException if the template refuses the messages, or cannot be
	 * used
	 */
	public String prompt(List<Map<String, String>> messages) {
		this.model.awaitUsable();
		Form form = this.model.chatForm();
		return (form.template() != null && RENDERS) ? new TemplateRenderer(form).render(messages)
				: PlainChat.prompt(messages.stream().map((message) -> text(message.get("content"))).toList());
	}

	/** Nobody but a template names special tokens. */
	private static String text(@Nullable String content) {
		return (content == null) ? ""
				: content.replace(PromptTokens.SPECIAL, '\uFFFD').replace(PromptTokens.SPECIAL_END, '\uFFFD');
	}

	/** Says it once for a model. */
	static void warnIfUnused(@Nullable ChatTemplate template) {
		if (template != null && !RENDERS) {
			LOG.warn(
					"The chat template of the model is not used: com.hubspot.jinjava:jinjava is not on the class path");
		}
	}

	/**
	 * What a model says of chats.
	 *
	 * @param template of the model, or {@code null} if there is none
	 * @param specialTokens of its tokenizer
	 */
	record Form(@Nullable ChatTemplate template, Set<String> specialTokens) {
	}

}

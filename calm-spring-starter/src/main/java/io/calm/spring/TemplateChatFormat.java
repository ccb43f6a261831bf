package io.calm.spring;

import java.util.List;
import java.util.Map;
import java.util.Objects;

import org.springframework.ai.chat.messages.Message;

/**
 * The form of the model's own template.
 */
final class TemplateChatFormat implements ChatPromptFormat {

	private final ChatTemplates templates;

	TemplateChatFormat(ChatTemplates templates) {
		this.templates = templates;
	}

	@Override
	public String format(List<Message> messages) {
		return this.templates.prompt(messages.stream()
			.map((message) -> Map.of("role", message.getMessageType().getValue(), "content",
					Objects.requireNonNullElse(message.getText(), "")))
			.toList());
	}

	@Override
	public boolean namesSpecialTokens() {
		return true;
	}

}

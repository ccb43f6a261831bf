package io.calm.spring;

import org.springframework.ai.chat.model.ChatModel;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;

/**
 * The {@link ChatModel} of Spring AI, unless {@code spring.ai.model.chat} chooses another
 * one.
 */
@AutoConfiguration(after = CalmGenerationAutoConfiguration.class,
		beforeName = "org.springframework.ai.model.chat.client.autoconfigure.ChatClientAutoConfiguration")
@ConditionalOnClass(ChatModel.class)
@ConditionalOnBean(TextGenerator.class)
@ConditionalOnProperty(name = "spring.ai.model.chat", havingValue = "calm", matchIfMissing = true)
public final class CalmChatAutoConfiguration {

	CalmChatAutoConfiguration() {
	}

	@Bean
	@ConditionalOnMissingBean
	CalmChatModel calmChatModel(TextGenerator generator, ObjectProvider<ChatPromptFormat> format,
			ObjectProvider<ChatTemplates> templates, ObjectProvider<ServedModel> model) {
		ServedModel served = model.getIfAvailable();
		String name = (served != null) ? served.status().name() : "calm";
		ChatTemplates own = templates.getIfAvailable();
		ChatPromptFormat usual = (own != null) ? new TemplateChatFormat(own) : ChatPromptFormat.PLAIN;
		return new CalmChatModel(generator, format.getIfUnique(() -> usual),
				CalmChatOptions.builder().model(name).build());
	}

}

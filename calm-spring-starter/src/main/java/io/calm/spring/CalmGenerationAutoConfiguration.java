package io.calm.spring;

import io.micrometer.observation.ObservationRegistry;

import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.context.annotation.Bean;

/**
 * The {@link TextGenerator}.
 */
@AutoConfiguration(after = CalmModelAutoConfiguration.class,
		afterName = "org.springframework.boot.micrometer.observation.autoconfigure.ObservationAutoConfiguration")
@ConditionalOnBean(ServedModel.class)
public final class CalmGenerationAutoConfiguration {

	CalmGenerationAutoConfiguration() {
	}

	@Bean
	ChatTemplates calmChatTemplates(ServedModel model) {
		return new ChatTemplates(model);
	}

	@Bean
	@ConditionalOnMissingBean
	TextGenerator calmTextGenerator(ServedModel model, CalmProperties properties,
			ObjectProvider<ObservationRegistry> observations,
			ObjectProvider<GenerationObservationConvention> convention) {
		return new ObservedTextGenerator(model, properties, observations.getIfUnique(() -> ObservationRegistry.NOOP),
				convention.getIfUnique());
	}

}

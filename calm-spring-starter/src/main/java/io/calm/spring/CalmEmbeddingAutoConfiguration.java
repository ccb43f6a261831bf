package io.calm.spring;

import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.AutoConfigureOrder;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnProperty;
import org.springframework.context.annotation.Bean;
import org.springframework.core.Ordered;

/**
 * The {@link EmbeddingModel} of Spring AI, unless there is another one, or
 * {@code spring.ai.model.embedding} or {@code spring.ai.model.embedding.text} chooses
 * one.
 */
@AutoConfiguration(after = CalmModelAutoConfiguration.class)
// an application that has another one, for meanings, goes on with it
@AutoConfigureOrder(Ordered.LOWEST_PRECEDENCE)
@ConditionalOnClass(EmbeddingModel.class)
@ConditionalOnBean(ServedModel.class)
@ConditionalOnProperty(name = { "spring.ai.model.embedding", "spring.ai.model.embedding.text" }, havingValue = "calm",
		matchIfMissing = true)
public final class CalmEmbeddingAutoConfiguration {

	CalmEmbeddingAutoConfiguration() {
	}

	@Bean
	@ConditionalOnMissingBean(EmbeddingModel.class)
	CalmEmbeddingModel calmEmbeddingModel(ServedModel model) {
		return new CalmEmbeddingModel(model);
	}

}

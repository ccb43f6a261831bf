package io.calm.spring;

import io.calm.training.TrainingListener;

import org.springframework.beans.factory.ObjectProvider;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.context.annotation.Bean;

/**
 * The {@link CalmTrainer}. It needs no model.
 */
@AutoConfiguration
public final class CalmTrainingAutoConfiguration {

	CalmTrainingAutoConfiguration() {
	}

	@Bean
	@ConditionalOnMissingBean
	CalmTrainer calmTrainer(ObjectProvider<TrainingListener> listeners) {
		return new CalmTrainer(listeners.orderedStream().toList());
	}

}

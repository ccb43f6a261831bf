package io.calm.spring;

import io.micrometer.core.instrument.MeterRegistry;

import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.context.annotation.Bean;

/**
 * Metrics of generations and of the engine.
 */
@AutoConfiguration(after = CalmModelAutoConfiguration.class,
		afterName = "org.springframework.boot.micrometer.metrics.autoconfigure.CompositeMeterRegistryAutoConfiguration")
@ConditionalOnClass(MeterRegistry.class)
@ConditionalOnBean({ MeterRegistry.class, ServedModel.class })
public final class CalmMetricsAutoConfiguration {

	CalmMetricsAutoConfiguration() {
	}

	@Bean
	@ConditionalOnMissingBean
	GenerationMeters calmGenerationMeters(MeterRegistry registry) {
		return new GenerationMeters(registry);
	}

	@Bean
	@ConditionalOnMissingBean
	EngineMeters calmEngineMeters(ServedModel model) {
		return new EngineMeters(model);
	}

}

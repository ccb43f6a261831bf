package io.calm.spring;

import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.config.MeterFilter;

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
	GenerationMeters calmGenerationMeters(MeterRegistry registry, CalmProperties properties) {
		return new GenerationMeters(registry, properties.observations().springAiNames());
	}

	@Bean
	static MeterFilter calmGenerationBuckets() {
		return GenerationMeters.buckets();
	}

	@Bean
	@ConditionalOnMissingBean
	EngineMeters calmEngineMeters(ServedModel model) {
		return new EngineMeters(model);
	}

}

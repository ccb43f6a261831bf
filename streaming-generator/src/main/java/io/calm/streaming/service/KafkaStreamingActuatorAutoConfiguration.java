package io.calm.streaming.service;

import io.micrometer.core.instrument.Gauge;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.binder.MeterBinder;

import org.springframework.boot.actuate.autoconfigure.endpoint.condition.ConditionalOnAvailableEndpoint;
import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.health.autoconfigure.contributor.ConditionalOnEnabledHealthIndicator;
import org.springframework.boot.health.contributor.HealthContributor;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.kafka.core.KafkaAdmin;

/**
 * Metrics, health and the endpoint {@code generations} of the service.
 */
@AutoConfiguration(after = KafkaStreamingAutoConfiguration.class,
		afterName = "org.springframework.boot.micrometer.metrics.autoconfigure.CompositeMeterRegistryAutoConfiguration")
@ConditionalOnBean(StreamingService.class)
public final class KafkaStreamingActuatorAutoConfiguration {

	KafkaStreamingActuatorAutoConfiguration() {
	}

	@Configuration(proxyBeanMethods = false)
	@ConditionalOnClass(MeterRegistry.class)
	@ConditionalOnBean(MeterRegistry.class)
	static class MetersConfiguration {

		@Bean
		@ConditionalOnMissingBean
		StreamingMeters calmStreamingMeters(MeterRegistry registry) {
			return new StreamingMeters(registry);
		}

		@Bean
		MeterBinder calmStreamingInFlight(StreamingService service) {
			return (registry) -> Gauge.builder("calm.streaming.in.flight", service, (each) -> each.inFlight().size())
				.description("Requests that have been taken up and have not ended")
				.register(registry);
		}

	}

	@Configuration(proxyBeanMethods = false)
	@ConditionalOnClass({ HealthContributor.class, ConditionalOnEnabledHealthIndicator.class })
	static class HealthConfiguration {

		@Bean
		@ConditionalOnEnabledHealthIndicator("calm-streaming")
		@ConditionalOnMissingBean(name = "calmStreamingHealthContributor")
		HealthContributor calmStreamingHealthContributor(StreamingService service, StreamingProperties properties,
				KafkaAdmin admin) {
			return new StreamingHealthIndicator(service, properties, admin.getConfigurationProperties());
		}

	}

	@Configuration(proxyBeanMethods = false)
	@ConditionalOnClass({ Endpoint.class, ConditionalOnAvailableEndpoint.class })
	static class EndpointConfiguration {

		@Bean
		@ConditionalOnAvailableEndpoint
		@ConditionalOnMissingBean
		GenerationsEndpoint calmGenerationsEndpoint(StreamingService service) {
			return new GenerationsEndpoint(service);
		}

	}

}

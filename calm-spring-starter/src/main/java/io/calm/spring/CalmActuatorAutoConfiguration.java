package io.calm.spring;

import org.springframework.boot.actuate.autoconfigure.endpoint.condition.ConditionalOnAvailableEndpoint;
import org.springframework.boot.actuate.autoconfigure.info.ConditionalOnEnabledInfoContributor;
import org.springframework.boot.actuate.autoconfigure.info.InfoContributorFallback;
import org.springframework.boot.actuate.endpoint.annotation.Endpoint;
import org.springframework.boot.actuate.info.InfoContributor;
import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnBean;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.health.autoconfigure.contributor.ConditionalOnEnabledHealthIndicator;
import org.springframework.boot.health.contributor.HealthContributor;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;

/**
 * The model in {@code /actuator/health}, {@code /actuator/info} and
 * {@code /actuator/calm}.
 */
@AutoConfiguration(after = CalmModelAutoConfiguration.class)
@ConditionalOnBean(ServedModel.class)
public final class CalmActuatorAutoConfiguration {

	CalmActuatorAutoConfiguration() {
	}

	@Configuration(proxyBeanMethods = false)
	@ConditionalOnClass({ HealthContributor.class, ConditionalOnEnabledHealthIndicator.class })
	static class HealthConfiguration {

		@Bean
		@ConditionalOnEnabledHealthIndicator("calm")
		@ConditionalOnMissingBean(name = "calmHealthContributor")
		HealthContributor calmHealthContributor(ServedModel model) {
			return new CalmHealthIndicator(model);
		}

	}

	@Configuration(proxyBeanMethods = false)
	@ConditionalOnClass({ InfoContributor.class, ConditionalOnEnabledInfoContributor.class })
	static class InfoConfiguration {

		@Bean
		@ConditionalOnEnabledInfoContributor(value = "calm", fallback = InfoContributorFallback.USE_DEFAULTS_PROPERTY)
		@ConditionalOnMissingBean(name = "calmInfoContributor")
		InfoContributor calmInfoContributor(ServedModel model) {
			return new CalmInfoContributor(model);
		}

	}

	@Configuration(proxyBeanMethods = false)
	@ConditionalOnClass({ Endpoint.class, ConditionalOnAvailableEndpoint.class })
	static class EndpointConfiguration {

		@Bean
		@ConditionalOnAvailableEndpoint
		@ConditionalOnMissingBean
		CalmEndpoint calmEndpoint(ServedModel model) {
			return new CalmEndpoint(model);
		}

	}

}

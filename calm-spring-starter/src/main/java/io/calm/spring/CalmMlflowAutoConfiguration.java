package io.calm.spring;

import io.calm.mlflow.MlflowConnection;
import io.calm.mlflow.MlflowListener;
import io.calm.mlflow.MlflowRegistry;

import org.springframework.boot.autoconfigure.AutoConfiguration;
import org.springframework.boot.autoconfigure.condition.ConditionalOnClass;
import org.springframework.boot.autoconfigure.condition.ConditionalOnMissingBean;
import org.springframework.boot.autoconfigure.ssl.SslAutoConfiguration;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.ssl.SslBundles;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Condition;
import org.springframework.context.annotation.ConditionContext;
import org.springframework.context.annotation.Conditional;
import org.springframework.core.type.AnnotatedTypeMetadata;
import org.springframework.util.StringUtils;

/**
 * MLflow, with calm-mlflow on the class path and the address of a server: models are
 * opened from its registry, and the {@link CalmTrainer}'s trainings are followed there.
 */
@AutoConfiguration(after = SslAutoConfiguration.class)
@ConditionalOnClass(MlflowRegistry.class)
@Conditional(CalmMlflowAutoConfiguration.OnTrackingUri.class)
@EnableConfigurationProperties(CalmMlflowProperties.class)
public final class CalmMlflowAutoConfiguration {

	CalmMlflowAutoConfiguration() {
	}

	/** An empty address is none: {@code ConditionalOnProperty} takes it for one. */
	static final class OnTrackingUri implements Condition {

		@Override
		public boolean matches(ConditionContext context, AnnotatedTypeMetadata metadata) {
			return StringUtils.hasText(context.getEnvironment().getProperty("calm.mlflow.tracking-uri"));
		}

	}

	@Bean
	@ConditionalOnMissingBean
	MlflowRegistry calmMlflowRegistry(CalmMlflowProperties properties, SslBundles bundles) {
		MlflowConnection connection = MlflowConnection.of((to) -> properties.applyTo(to, bundles));
		return MlflowRegistry.of(connection,
				(properties.cache() != null) ? properties.cache() : MlflowRegistry.userCache(),
				(properties.cacheLimit() != null) ? properties.cacheLimit().toBytes() : Long.MAX_VALUE);
	}

	@Bean
	@ConditionalOnMissingBean(name = "calmMlflowModelResolver")
	ModelResolver calmMlflowModelResolver(MlflowRegistry registry) {
		return new MlflowModelResolver(registry);
	}

	@Bean
	@ConditionalOnMissingBean
	MlflowListener calmMlflowListener(CalmMlflowProperties properties, SslBundles bundles) {
		return MlflowListener.of((options) -> {
			options.connection((to) -> properties.applyTo(to, bundles));
			properties.applyTo(options);
		});
	}

}

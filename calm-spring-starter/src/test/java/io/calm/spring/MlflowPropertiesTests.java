package io.calm.spring;

import java.util.Map;

import io.calm.mlflow.MlflowRegistry;
import org.junit.jupiter.api.Test;

import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.autoconfigure.ssl.SslAutoConfiguration;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.MapConfigurationPropertySource;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Properties of MLflow that a deployment leaves empty.
 */
class MlflowPropertiesTests {

	@Test
	void whatIsEmptyIsNotSet() {
		CalmMlflowProperties properties = new Binder(new MapConfigurationPropertySource(Map.of(
				"calm.mlflow.tracking-uri", "http://localhost:5000", "calm.mlflow.username", "", "calm.mlflow.password",
				"", "calm.mlflow.token", "t0ken", "calm.mlflow.experiment", " ", "calm.mlflow.run", "",
				"calm.mlflow.spool", "", "calm.mlflow.cache", "", "calm.mlflow.ssl-bundle", "")))
			.bind("calm.mlflow", CalmMlflowProperties.class)
			.get();
		assertThat(properties.trackingUri()).isEqualTo("http://localhost:5000");
		assertThat(properties.token()).isEqualTo("t0ken");
		assertThat(properties)
			.extracting(CalmMlflowProperties::username, CalmMlflowProperties::password,
					CalmMlflowProperties::experiment, CalmMlflowProperties::run, CalmMlflowProperties::spool,
					CalmMlflowProperties::cache, CalmMlflowProperties::sslBundle)
			.containsOnlyNulls();
	}

	@Test
	void withAnEmptyAddressThereIsNoMlflow() {
		ApplicationContextRunner application = new ApplicationContextRunner()
			.withConfiguration(AutoConfigurations.of(SslAutoConfiguration.class, CalmMlflowAutoConfiguration.class));
		application.withPropertyValues("calm.mlflow.tracking-uri=")
			.run((context) -> assertThat(context).hasNotFailed().doesNotHaveBean(MlflowRegistry.class));
		application.withPropertyValues("calm.mlflow.trackingUri=http://localhost:5000")
			.run((context) -> assertThat(context).hasSingleBean(MlflowRegistry.class));
	}

}

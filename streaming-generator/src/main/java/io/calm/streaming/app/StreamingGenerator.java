package io.calm.streaming.app;

import java.util.Map;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;

/**
 * The service as an application of its own.
 */
@SpringBootApplication
public class StreamingGenerator {

	/** Made by Spring. */
	StreamingGenerator() {
	}

	/**
	 * Runs it.
	 * @param arguments properties, such as {@code --calm.model.location=file:model}
	 */
	public static void main(String[] arguments) {
		application().run(arguments);
	}

	static SpringApplication application() {
		SpringApplication application = new SpringApplication(StreamingGenerator.class);
		application.addInitializers(new Demo());
		// Kafka tells its whole configuration, and the demonstration's broker each of its
		// partitions
		application.setDefaultProperties(Map.ofEntries(
				// whoever takes no requests up is not ready; it may be switched off, too
				Map.entry("management.endpoint.health.group.readiness.include", "readinessState,calmStreaming"),
				Map.entry("management.endpoint.health.validate-group-membership", "false"),
				Map.entry("management.endpoints.web.exposure.include", "health,info,prometheus,generations"),
				Map.entry("logging.level.org.apache.kafka", "warn"), Map.entry("logging.level.kafka", "error"),
				Map.entry("logging.level.state.change.logger", "error")));
		return application;
	}

}

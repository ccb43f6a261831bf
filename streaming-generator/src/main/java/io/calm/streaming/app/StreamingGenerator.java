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
		SpringApplication application = new SpringApplication(StreamingGenerator.class);
		application.addInitializers(new Demo());
		// Kafka tells its whole configuration, and every partition of a broker
		application.setDefaultProperties(Map.of("management.endpoints.web.exposure.include",
				"health,info,prometheus,generations", "logging.level.org.apache.kafka", "warn", "logging.level.kafka",
				"warn", "logging.level.state.change.logger", "warn"));
		application.run(arguments);
	}

}

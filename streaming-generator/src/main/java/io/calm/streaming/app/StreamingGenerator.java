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
		application.setDefaultProperties(
				Map.of("management.endpoints.web.exposure.include", "health,info,prometheus,generations"));
		application.run(arguments);
	}

}

package io.calm.examples.pipeline;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.web.server.context.WebServerApplicationContext;
import org.springframework.context.event.EventListener;

/**
 * The application: topics, services and web page in one process.
 *
 * <pre>
 * products → calm.requests → (service) → calm.chunks → stories
 * page     → calm.requests → (service) → calm.chunks → page
 * </pre>
 */
@SpringBootApplication
@EnableConfigurationProperties(PipelineProperties.class)
public class KafkaPipeline {

	/** Made by Spring. */
	KafkaPipeline() {
	}

	/**
	 * Runs it.
	 * @param arguments properties, such as {@code --calm.model.location=file:model}
	 */
	public static void main(String[] arguments) {
		application().run(arguments);
	}

	static SpringApplication application() {
		SpringApplication application = new SpringApplication(KafkaPipeline.class);
		application.addInitializers(new Preparation());
		return application;
	}

	/** Where to look, which model, and its training if there is none. */
	@EventListener
	void begin(ApplicationReadyEvent ready) {
		if (ready.getApplicationContext() instanceof WebServerApplicationContext web && web.getWebServer() != null) {
			ready.getApplicationContext().getBean(Beginning.class).begin(web.getWebServer().getPort());
		}
	}

}

package io.calm.examples.pipeline;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.event.ApplicationReadyEvent;
import org.springframework.boot.context.properties.EnableConfigurationProperties;
import org.springframework.boot.web.server.context.WebServerApplicationContext;
import org.springframework.context.event.EventListener;
import org.springframework.core.env.Environment;

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

	@EventListener
	void tellWhereToLook(ApplicationReadyEvent ready) {
		if (!(ready.getApplicationContext() instanceof WebServerApplicationContext web) || web.getWebServer() == null) {
			return;
		}
		Environment environment = ready.getApplicationContext().getEnvironment();
		PipelineProperties properties = ready.getApplicationContext().getBean(PipelineProperties.class);
		PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
		out.println();
		out.println("  The pipeline is running.");
		out.println();
		out.printf("    Page     http://%s:%d/%n", environment.getProperty("server.address", "localhost"),
				web.getWebServer().getPort());
		ModelServices services = ready.getApplicationContext().getBean(ModelServices.class);
		for (ModelService service : services.all()) {
			out.printf("    Model    %s, K = %s, from %s%n", service.name(), service.state().patchSize(),
					service.location());
		}
		out.printf("    Broker   %s%s%n", environment.getProperty("spring.kafka.bootstrap-servers"),
				properties.ownBroker() ? " (in this process; its data goes with it)" : "");
		ModelService.State first = services.first().state();
		out.printf("    Topics   %s → %s → %s → %s%n", properties.products(), first.requests(), first.chunks(),
				properties.stories());
		out.println("    End      Ctrl+C");
		out.println();
	}

}

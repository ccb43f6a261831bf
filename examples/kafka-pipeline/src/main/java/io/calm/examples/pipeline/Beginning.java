package io.calm.examples.pipeline;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

import jakarta.annotation.PreDestroy;
import org.jspecify.annotations.Nullable;

import org.springframework.core.env.Environment;
import org.springframework.kafka.config.KafkaListenerEndpointRegistry;
import org.springframework.kafka.listener.MessageListenerContainer;
import org.springframework.stereotype.Component;

/**
 * From the web server to the first story: trains the model if there is none, opens it,
 * and lets the products come. The page is there all the time.
 */
@Component
final class Beginning {

	private final PipelineProperties properties;

	private final Environment environment;

	private final ModelServices services;

	private final LiveTraining training;

	private final Products products;

	private final KafkaListenerEndpointRegistry consumers;

	private final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);

	private @Nullable Thread trainer;

	Beginning(PipelineProperties properties, Environment environment, ModelServices services, LiveTraining training,
			Products products, KafkaListenerEndpointRegistry consumers) {
		this.properties = properties;
		this.environment = environment;
		this.services = services;
		this.training = training;
		this.products = products;
		this.consumers = consumers;
	}

	/**
	 * Returns at once if a model has to be trained first.
	 * @param port of the page
	 */
	void begin(int port) {
		String page = "http://" + this.environment.getProperty("server.address", "localhost") + ":" + port + "/";
		if (!this.properties.untrained()) {
			serve(page);
			return;
		}
		this.out.println();
		this.out.println("  There is no model yet: one is trained on made-up stories, which takes some minutes.");
		this.out.println("  Watch it on the page: " + page);
		this.out.println("  After an interruption (Ctrl+C), the same command resumes the training.");
		this.out.println();
		Thread thread = new Thread(() -> trainAndServe(page), "calm-training");
		this.trainer = thread;
		thread.start();
	}

	private void trainAndServe(String page) {
		try {
			this.training.run(Path.of(this.properties.models().values().iterator().next().substring("file:".length())));
			this.services.start();
			serve(page);
		}
		catch (RuntimeException ex) {
			this.training.failed(ex);
			this.out.println(Thread.currentThread().isInterrupted() ? ex.getMessage()
					: "The model could not be trained: " + ex.getMessage());
		}
	}

	private void serve(String page) {
		MessageListenerContainer enrichment = this.consumers.getListenerContainer(Enrichment.ID);
		if (enrichment != null) {
			enrichment.start();
		}
		if (this.properties.ownBroker()) {
			this.products.send();
		}
		tellWhereToLook(page);
	}

	private void tellWhereToLook(String page) {
		this.out.println();
		this.out.println("  The pipeline is running.");
		this.out.println();
		this.out.println("    Page     " + page);
		for (ModelService service : this.services.all()) {
			this.out.printf("    Model    %s, K = %s, from %s%n", service.name(), service.state().patchSize(),
					service.location());
		}
		this.out.printf("    Broker   %s%s%n", this.environment.getProperty("spring.kafka.bootstrap-servers"),
				this.properties.ownBroker() ? " (in this process; its data goes with it)" : "");
		ModelService.State first = this.services.first().state();
		this.out.printf("    Topics   %s → %s → %s → %s%n", this.properties.products(), first.requests(),
				first.chunks(), this.properties.stories());
		this.out.println("    End      Ctrl+C");
		this.out.println();
	}

	/** A training saves its state when it is interrupted. */
	@PreDestroy
	void interrupt() throws InterruptedException {
		Thread thread = this.trainer;
		if (thread != null) {
			thread.interrupt();
			thread.join();
		}
	}

}

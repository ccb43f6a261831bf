package io.calm.spring;

import java.io.IOException;
import java.nio.file.Path;

import io.calm.hub.Hub;
import io.calm.hub.HubServer;
import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;

import static org.assertj.core.api.Assertions.assertThat;

/** A model from a hub, with its parts in three repositories. */
class HubModelTests {

	private final HubServer server = new HubServer();

	private final ApplicationContextRunner application;

	HubModelTests(@TempDir Path directory) throws IOException {
		Path model = TinyModel.directory();
		this.server.publish("authors/calm", model, "config.json", "model.safetensors");
		this.server.publish("authors/ae", model.resolve("autoencoder"));
		this.server.publish("others/llama", model, "tokenizer.json", "tokenizer_config.json");
		this.application = new ApplicationContextRunner()
			.withConfiguration(
					AutoConfigurations.of(CalmModelAutoConfiguration.class, CalmGenerationAutoConfiguration.class))
			.withBean(Hub.class, () -> new Hub(this.server.endpoint(), null, directory.resolve("hub")))
			.withPropertyValues("calm.model.location=hf:authors/calm");
	}

	@AfterEach
	void stop() {
		this.server.close();
	}

	@Test
	void itIsPutTogetherAndServed() {
		this.application
			.withPropertyValues("calm.model.autoencoder=hf:authors/ae", "calm.model.tokenizer=hf:others/llama")
			.run((context) -> {
				assertThat(context.getBean(TextGenerator.class).generate("Two")).isNotEmpty();
				assertThat(context.getBean(ServedModel.class).status().name()).isEqualTo("calm");
			});
	}

	@Test
	void aPartThatIsMissingOrOfNoUseEndsTheStart() {
		this.application.run((context) -> assertThat(context).getFailure()
			.rootCause()
			.isInstanceOf(InvalidInputException.class)
			.hasMessageContaining("has no tokenizer.json"));
		this.server.gate("others/llama");
		this.application.withPropertyValues("calm.model.tokenizer=hf:others/llama")
			.run((context) -> assertThat(context).getFailure()
				.hasStackTraceContaining(
						"calm.model.location=hf:authors/calm: hf:others/llama@main: may not be read (401)"));
		this.application
			.withPropertyValues("calm.model.location=file:" + TinyModel.directory(),
					"calm.model.tokenizer=hf:others/llama")
			.run((context) -> assertThat(context).getFailure()
				.hasStackTraceContaining("leave calm.model.autoencoder and calm.model.tokenizer out"));
	}

}

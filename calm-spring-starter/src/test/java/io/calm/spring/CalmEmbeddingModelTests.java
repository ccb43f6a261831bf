package io.calm.spring;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import io.calm.Calm;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.latent.LatentEncoder;
import io.micrometer.core.instrument.MeterRegistry;
import io.micrometer.core.instrument.observation.DefaultMeterObservationHandler;
import io.micrometer.core.instrument.simple.SimpleMeterRegistry;
import io.micrometer.observation.ObservationRegistry;
import io.micrometer.observation.tck.TestObservationRegistry;
import io.micrometer.observation.tck.TestObservationRegistryAssert;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import org.springframework.ai.document.Document;
import org.springframework.ai.embedding.AbstractEmbeddingModel;
import org.springframework.ai.embedding.EmbeddingModel;
import org.springframework.ai.embedding.EmbeddingOptions;
import org.springframework.ai.embedding.EmbeddingRequest;
import org.springframework.ai.embedding.EmbeddingResponse;
import org.springframework.boot.autoconfigure.AutoConfigurations;
import org.springframework.boot.test.context.runner.ApplicationContextRunner;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

class CalmEmbeddingModelTests {

	private final ApplicationContextRunner context = new ApplicationContextRunner()
		.withConfiguration(
				AutoConfigurations.of(CalmModelAutoConfiguration.class, CalmEmbeddingAutoConfiguration.class))
		.withBean(MovingModel.class)
		.withPropertyValues("calm.model.location=" + MovingModel.LOCATION);

	@Test
	void theVectorOfATextIsTheMeanOfItsPatches() {
		this.context.run((context) -> {
			EmbeddingModel model = context.getBean(EmbeddingModel.class);
			EmbeddingResponse response = model.embedForResponse(List.of("One fish.", "Two"));
			try (LatentEncoder encoder = LatentEncoder.open(TinyModel.directory(), ProgramOptions.DEFAULT)) {
				assertThat(response.getResults().get(0).getOutput()).isEqualTo(encoder.encode("One fish.").centre());
				assertThat(response.getResults().get(1).getOutput()).isEqualTo(encoder.encode("Two").centre());
			}
			assertThat(response.getResults()).extracting((each) -> each.getIndex()).containsExactly(0, 1);
			assertThat(response.getMetadata().getModel()).isEqualTo("tiny");
			assertThat((String) response.getMetadata().get("version")).isEqualTo("1");
			assertThat(response.getMetadata().getUsage().getTotalTokens()).isEqualTo("One fish.Two".length());
			assertThat(model.dimensions()).isEqualTo(8);
			assertThat(model.embed(new Document("Two"))).isEqualTo(response.getResults().get(1).getOutput());
		});
	}

	@Test
	void anExchangedModelHasItsOwnVectors(@TempDir Path directory) {
		Path other = directory.resolve("other");
		Calm.train(TinyModel.training(other)
			.andThen((training) -> training.autoencoder(
					(shape) -> shape.patchSize(TinyModel.PATCH_SIZE).hiddenSize(16).latentSize(8).layers(2),
					(options) -> options.steps(4).batch(2).patches(8))))
			.close();
		this.context.run((context) -> {
			EmbeddingModel model = context.getBean(EmbeddingModel.class);
			float[] before = model.embed("One fish.");
			context.getBean(MovingModel.class).moveTo("2", other);
			context.getBean(ServedModel.class).reload();
			EmbeddingResponse after = model.embedForResponse(List.of("One fish."));
			assertThat((String) after.getMetadata().get("version")).isEqualTo("2");
			assertThat(Objects.requireNonNull(after.getResult()).getOutput()).hasSameSizeAs(before)
				.isNotEqualTo(before);
		});
	}

	@Test
	void whatCannotBeEncoded() {
		this.context.run((context) -> {
			EmbeddingModel model = context.getBean(EmbeddingModel.class);
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> model.embedForResponse(List.of("One", "")))
				.withMessage("texts: one of them is empty; leave it out");
			EmbeddingOptions options = EmbeddingOptions.builder().dimensions(1536).build();
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> model.call(new EmbeddingRequest(List.of("One"), options)))
				.withMessage("dimensions is 1536; leave it out: the model's vectors have 8");
		});
	}

	@Test
	void isMeasured() {
		SimpleMeterRegistry meters = new SimpleMeterRegistry();
		ObservationRegistry registry = ObservationRegistry.create();
		this.context.withConfiguration(AutoConfigurations.of(CalmMetricsAutoConfiguration.class))
			.withBean(MeterRegistry.class, () -> meters)
			.withBean(ObservationRegistry.class, () -> registry)
			.run((context) -> {
				registry.observationConfig()
					.observationHandler(new DefaultMeterObservationHandler(meters))
					.observationHandler(context.getBean(GenerationMeters.class));
				context.getBean(EmbeddingModel.class).embed(List.of("One fish.", "Two"));
				assertThat(meters.get("gen_ai.client.operation.duration")
					.tags("gen_ai.operation.name", "embeddings", "gen_ai.provider.name", "calm", "gen_ai.request.model",
							"tiny", "error", "none")
					.timer()
					.count()).isEqualTo(1);
				assertThat(meters.get("gen_ai.client.token.usage")
					.tags("gen_ai.operation.name", "embeddings", "gen_ai.token.type", "input")
					.summary()
					.totalAmount()).isEqualTo("One fish.Two".length());
			});
	}

	/** Names, numbers and no texts. */
	@Test
	void isTraced() {
		Map.of("false", "gen_ai.provider.name", "true", "gen_ai.system").forEach((springAiNames, provider) -> {
			TestObservationRegistry observations = TestObservationRegistry.create();
			boolean old = springAiNames.equals("true");
			this.context.withPropertyValues("calm.observations.spring-ai-names=" + springAiNames)
				.withBean(TestObservationRegistry.class, () -> observations)
				.run((context) -> context.getBean(EmbeddingModel.class).embed("One fish."));
			String operation = old ? "embedding" : "embeddings";
			TestObservationRegistryAssert.assertThat(observations)
				.hasObservationWithNameEqualTo(old ? "gen_ai.client.operation" : "gen_ai.client.operation.duration")
				.that()
				.hasBeenStopped()
				.hasContextualNameEqualTo(operation + " tiny")
				.hasOnlyKeys("gen_ai.operation.name", provider, "gen_ai.request.model", "gen_ai.response.model",
						"gen_ai.usage.input_tokens")
				.hasLowCardinalityKeyValue("gen_ai.operation.name", operation)
				.hasLowCardinalityKeyValue("gen_ai.response.model", "tiny")
				.hasHighCardinalityKeyValue("gen_ai.usage.input_tokens", "9");
		});
	}

	@Test
	void anotherEmbeddingModelStays() {
		EmbeddingModel own = new AbstractEmbeddingModel() {
			@Override
			public EmbeddingResponse call(EmbeddingRequest request) {
				return new EmbeddingResponse(List.of());
			}

			@Override
			public float[] embed(Document document) {
				return new float[0];
			}
		};
		this.context.withPropertyValues("calm.model.loading=lazy")
			.withBean("own", EmbeddingModel.class, () -> own)
			.run((context) -> assertThat(context).getBean(EmbeddingModel.class).isSameAs(own));
		for (String property : List.of("spring.ai.model.embedding", "spring.ai.model.embedding.text")) {
			this.context.withPropertyValues("calm.model.loading=lazy", property + "=openai")
				.run((context) -> assertThat(context).hasNotFailed().doesNotHaveBean(EmbeddingModel.class));
		}
	}

}

package io.calm.spring;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

import io.calm.Calm;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.latent.LatentEncoder;
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

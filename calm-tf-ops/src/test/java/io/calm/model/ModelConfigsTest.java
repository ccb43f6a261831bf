package io.calm.model;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;

import io.calm.checkpoint.ConfigFile;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/** Configurations that other programs wrote. */
class ModelConfigsTest {

	private final Path directory;

	ModelConfigsTest(@TempDir Path directory) {
		this.directory = directory;
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
			"max_position_embeddings": 512                                                | 10000
			"rope_theta": 500000.0, "rope_scaling": null                                  | 500000
			"rope_parameters": {"rope_theta": 5000.0, "rope_type": "default"}             | 5000
			"rope_theta": 6000.0, "rope_parameters": {"rope_type": "default"}             | 6000
			""")
	void readsTheBaseOfTheRotaryEmbedding(String settings, double theta) throws IOException {
		assertThat(ModelConfigs.backbone(config(settings)).ropeTheta()).isEqualTo(theta);
	}

	@ParameterizedTest
	@ValueSource(strings = { """
			"rope_scaling": {"type": "linear", "factor": 2.0}""", """
			"rope_scaling": {"factor": 2.0}""", """
			"rope_parameters": {"rope_theta": 500000.0, "rope_type": "llama3", "low_freq_factor": 1.0}""" })
	void refusesScaledRotaryEmbedding(String settings) throws IOException {
		ConfigFile config = config(settings);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ModelConfigs.backbone(config))
			.withMessageContaining("scales the rotary embedding");
	}

	@Test
	void errorsNameTheSetting() throws IOException {
		ConfigFile config = config("\"num_attention_heads\": 5");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ModelConfigs.backbone(config))
			.withMessage("num_attention_heads: 5 does not divide hidden_size 48; correct one of them");
	}

	/** Their product is 0 in 32 bits. */
	@Test
	void refusesHeadsWhoseProductNobodyCanCompute() throws IOException {
		ConfigFile config = config("\"num_attention_heads\": 4, \"head_dim\": 1073741824");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ModelConfigs.backbone(config))
			.withMessageContaining("head_dim is 1073741824");
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', textBlock = """
			lead_tokens    | 4  | choose from 0 to 3
			lead_tokens    | -1 | lead_tokens
			vector_every   | 0  | vector_every
			guessed_tokens | 5  | choose from 1 to 4
			token_loss     | 0  | choose a token_loss above 0
			""")
	void refusesLeadTokensThatCannotBe(String name, String value, String said) throws IOException {
		Path model = this.directory.resolve("model");
		TinyModel.write(model, TinyModel.autoencoder().build(), 1, 1);
		Path file = model.resolve("config.json");
		Files.writeString(file, Files.readString(file).replaceFirst("(\"" + name + "\": *)[0-9.]+", "$1" + value));
		ModelDirectory directory = ModelDirectory.open(model);
		try (TensorFile weights = directory.weights()) {
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> ModelConfigs.calm(directory, weights))
				.withMessageContaining("config.json")
				.withMessageContaining(said);
		}
	}

	private ConfigFile config(String settings) throws IOException {
		String heads = settings.contains("heads") ? "" : "\"num_attention_heads\": 4, ";
		return ConfigFile.read(Files.writeString(this.directory.resolve("config.json"), """
				{"hidden_size": 48, "intermediate_size": 112, "num_hidden_layers": 2, %s%s}
				""".formatted(heads, settings)));
	}

}

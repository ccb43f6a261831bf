package io.calm.mlflow;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.UUID;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.mlflow.api.proto.Service.Metric;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.tracking.MlflowClient;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * Models that go to a real registry and come back.
 */
@ExtendWith(MlflowServer.class)
class MlflowRegistryTest {

	private final URI server;

	private final Path directory;

	private final Path cache;

	private final MlflowRegistry registry;

	private final String name = "model-" + UUID.randomUUID();

	MlflowRegistryTest(URI server, @TempDir Path directory) {
		this.server = server;
		this.directory = directory;
		this.cache = directory.resolve("cache");
		this.registry = MlflowRegistry.of(MlflowConnection.to(server.toString()), this.cache);
	}

	private Path model(String weights) throws IOException {
		Path model = Files.createDirectories(this.directory.resolve("model-" + weights));
		for (Path part : List.of(model, Files.createDirectories(model.resolve("autoencoder")))) {
			Files.writeString(part.resolve("config.json"), "{}");
			Files.writeString(part.resolve("model.safetensors"), weights);
		}
		Files.writeString(model.resolve("trainer_state.json"), "not of the model");
		// as people call what they put beside a model
		Files.writeString(model.resolve("m\u00e4rchen (1) +x,y~.txt"), "");
		return model;
	}

	@Test
	void modelsGoThereAndBack() throws IOException {
		MlflowRegistry.Version first = this.registry.register(this.name, model("one"),
				(model) -> model.metric("brier_lm", 7.5).alias("champion"));
		MlflowRegistry.Version second = this.registry.register(this.name, model("two"), (model) -> {
		});
		assertThat(first.version()).isEqualTo(1);
		assertThat(second.version()).isEqualTo(2);
		assertThat(first.aliases()).containsExactly("champion");
		assertThat(first.tags()).containsEntry("metric.brier_lm", "7.5");
		Run run = new MlflowClient(this.server.toString()).getRun(first.runId());
		assertThat(run.getData().getMetricsList()).extracting(Metric::getKey).containsExactly("brier_lm");

		Path loaded = this.registry.load("models:/" + this.name + "@champion");
		assertThat(loaded.resolve("model.safetensors")).hasContent("one");
		assertThat(loaded.resolve("autoencoder/config.json")).hasContent("{}");
		assertThat(loaded.resolve("trainer_state.json")).doesNotExist();
		assertThat(loaded.resolve("m\u00e4rchen (1) +x,y~.txt")).isEmptyFile();
		assertThat(this.registry.load(second.uri()).resolve("model.safetensors")).hasContent("two");
		assertThat(this.registry.load("runs:/" + first.runId() + "/model")).isEqualTo(loaded);

		this.registry.setAlias(this.name, "champion", 2);
		assertThat(this.registry.find("models:/" + this.name + "@champion").version()).isEqualTo(2);
		assertThat(this.registry.find("models:/" + this.name + "/1").aliases()).isEmpty();
		assertThat(this.registry.load("models:/" + this.name + "@champion").resolve("model.safetensors"))
			.hasContent("two");
	}

	@Test
	void modelOfATraining() throws IOException {
		String run = new MlflowClient(this.server.toString()).createRun().getRunId();
		MlflowRegistry.Version version = this.registry.register(this.name, model("one"), (model) -> model.runId(run));
		assertThat(version.runId()).isEqualTo(run);
		assertThat(this.registry.load(version.uri()).resolve("model.safetensors")).hasContent("one");
	}

	@Test
	void changedFileIsNotUsed() throws IOException {
		MlflowRegistry.Version version = this.registry.register(this.name, model("one"), (model) -> {
		});
		replace(version, "model.safetensors");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> this.registry.load(version.uri()))
			.withMessageContaining("model.safetensors is not what was registered");
		assertThat(this.cache).isEmptyDirectory();
	}

	@Test
	void changedListOfSumsIsNotUsed() throws IOException {
		MlflowRegistry.Version version = this.registry.register(this.name, model("one"), (model) -> {
		});
		replace(version, "checksums.sha256");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> this.registry.load(version.uri()))
			.withMessageContaining("checksums.sha256 is not what was registered");
		assertThat(this.cache).isEmptyDirectory();
	}

	private void replace(MlflowRegistry.Version version, String file) throws IOException {
		String root = new MlflowClient(this.server.toString()).getRun(version.runId()).getInfo().getArtifactUri();
		Path other = Files.writeString(this.directory.resolve("other"), "0".repeat(64) + "  ../../escape\n");
		new MlflowApi(MlflowConnection.to(this.server.toString())).store(root).upload("model/" + file, other);
	}

	@Test
	void listOfSumsCannotLeadOutOfTheCache() throws IOException {
		MlflowRegistry.Version version = this.registry.register(this.name, model("one"), (model) -> {
		});
		replace(version, "checksums.sha256");
		// by its run there is no sum of the sums
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> this.registry.load("runs:/" + version.runId() + "/model"));
		assertThat(this.cache).isEmptyDirectory();
		assertThat(this.directory.resolve("escape")).doesNotExist();
	}

	@ParameterizedTest
	@ValueSource(strings = { "name", "models:/name", "models:/name/latest", "runs:/id", "s3://bucket/model" })
	void addressesThatNameNoModel(String uri) {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> this.registry.load(uri))
			.withMessageContaining("models:/name@alias");
	}

	@Test
	void whatIsNotThere() {
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> this.registry.load("models:/" + this.name + "@champion"))
			.withMessageContaining(this.name);
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> this.registry.register(this.name, this.directory.resolve("none"), (model) -> {
			}))
			.withMessageContaining("does not exist");
	}

}

package io.calm.checkpoint;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Stream;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

class ModelDirectoryTests {

	private final Path parent;

	private final Path model;

	ModelDirectoryTests(@TempDir Path parent) {
		this.parent = parent;
		this.model = parent.resolve("model");
	}

	@Test
	void writesAndOpensADirectory() throws IOException {
		ModelDirectory.write(this.model, (files) -> {
			fill(files, 1);
			ModelDirectory.write(files.resolve("autoencoder"), (autoencoder) -> fill(autoencoder, 2));
		});
		ModelDirectory opened = ModelDirectory.open(this.model);
		assertThat(opened.path()).isEqualTo(this.model);
		assertThat(opened.config().integer("hidden_size")).isEqualTo(1);
		assertThat(opened.tokenizer()).isEmpty();
		assertThat(weight(opened)).isEqualTo(1);
		assertThat(weight(opened.autoencoder().orElseThrow())).isEqualTo(2);
		assertThat(opened.autoencoder().orElseThrow().autoencoder()).isEmpty();
		Files.writeString(this.model.resolve("tokenizer.json"), "{}");
		assertThat(opened.tokenizer()).contains(this.model.resolve("tokenizer.json"));
		assertThat(names(this.parent)).containsExactly("model");
		assertThat(names(this.model)).doesNotContain(".autoencoder.previous");
	}

	@Test
	void opensTheReference() throws Exception {
		Path reference = Path
			.of(Objects.requireNonNull(ModelDirectoryTests.class.getResource("/reference/autoencoder")).toURI());
		ModelDirectory opened = ModelDirectory.open(reference);
		assertThat(opened.config().integer("patch_size")).isEqualTo(4);
		try (TensorFile weights = opened.weights()) {
			assertThat(weights.metadata()).containsEntry("format", "pt");
		}
	}

	@Test
	void replacesADirectoryAsAWhole() throws IOException {
		ModelDirectory.write(this.model, (files) -> fill(files, 1));
		Files.writeString(this.model.resolve("optimizer.safetensors"), "stale");
		ModelDirectory.write(this.model, (files) -> fill(files, 2));
		assertThat(weight(ModelDirectory.open(this.model))).isEqualTo(2);
		assertThat(names(this.model)).containsExactly("config.json", "model.safetensors");
		assertThat(names(this.parent)).containsExactly("model");
	}

	@Test
	void replacesWhatALinkLeadsTo() throws IOException {
		ModelDirectory.write(this.model, (files) -> fill(files, 1));
		Path link = Files.createSymbolicLink(this.parent.resolve("latest"), Path.of("model"));
		ModelDirectory.write(link, (files) -> fill(files, 2));
		assertThat(link).isSymbolicLink();
		assertThat(weight(ModelDirectory.open(this.model))).isEqualTo(2);
		Files.move(this.model, this.parent.resolve(".model.previous"));
		assertThat(weight(ModelDirectory.open(link))).isEqualTo(2);
	}

	@Test
	void newDirectoriesAreReadableByOthersAsUsual() throws IOException {
		ModelDirectory.write(this.model, (files) -> fill(files, 1));
		Path usual = Files.createDirectory(this.parent.resolve("usual"));
		assertThat(Files.getPosixFilePermissions(this.model)).isEqualTo(Files.getPosixFilePermissions(usual));
	}

	@Test
	void failureLeavesTheOldDirectory() throws IOException {
		ModelDirectory.write(this.model, (files) -> fill(files, 1));
		IllegalArgumentException failure = new IllegalArgumentException();
		assertThatExceptionOfType(IllegalArgumentException.class)
			.isThrownBy(() -> ModelDirectory.write(this.model, (files) -> {
				fill(files, 2);
				throw failure;
			}))
			.isSameAs(failure);
		assertThat(weight(ModelDirectory.open(this.model))).isEqualTo(1);
		assertThat(names(this.parent)).containsExactly("model");
	}

	/** The kernel itself reports that there is no space. */
	@Test
	void fullDiskLeavesTheOldDirectory() throws IOException {
		ModelDirectory.write(this.model, (files) -> fill(files, 1));
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> ModelDirectory.write(this.model, (files) -> {
				try {
					SafetensorsTests.fullDisk(files.resolve("model.safetensors"));
				}
				catch (IOException ex) {
					throw new UncheckedIOException(ex);
				}
				fill(files, 2);
			}))
			.withMessageContaining("No space left on device");
		assertThat(weight(ModelDirectory.open(this.model))).isEqualTo(1);
		assertThat(names(this.parent)).containsExactly("model");
	}

	@Test
	void incompleteContentLeavesTheOldDirectory() throws IOException {
		ModelDirectory.write(this.model, (files) -> fill(files, 1));
		assertThatIllegalStateException()
			.isThrownBy(() -> ModelDirectory.write(this.model,
					(files) -> ConfigFile.write(files.resolve("config.json"), Map.of())))
			.withMessageContaining("lacks config.json or weights");
		assertThat(weight(ModelDirectory.open(this.model))).isEqualTo(1);
	}

	@Test
	void crashBetweenTheRenamesIsMended() throws IOException {
		ModelDirectory.write(this.model, (files) -> fill(files, 1));
		Path previous = this.parent.resolve(".model.previous");
		Files.move(this.model, previous);
		fill(Files.createDirectory(this.parent.resolve(".model.tmp-0123456789abcdef")), 2);
		assertThat(weight(ModelDirectory.open(this.model))).isEqualTo(1);
		assertThat(previous).doesNotExist();

		Files.move(this.model, previous);
		assertThatIllegalStateException().isThrownBy(() -> ModelDirectory.write(this.model, (files) -> {
			throw new IllegalStateException();
		}));
		assertThat(weight(ModelDirectory.open(this.model))).isEqualTo(1);
		assertThat(names(this.parent)).containsExactly("model");
	}

	@Test
	void crashBeforeTheOldOneIsDeletedIsMended() throws IOException {
		ModelDirectory.write(this.model, (files) -> fill(files, 2));
		fill(Files.createDirectory(this.parent.resolve(".model.previous")), 1);
		assertThat(weight(ModelDirectory.open(this.model))).isEqualTo(2);
		ModelDirectory.write(this.model, (files) -> fill(files, 3));
		assertThat(weight(ModelDirectory.open(this.model))).isEqualTo(3);
		assertThat(names(this.parent)).containsExactly("model");
	}

	/** A server that opens the model while a trainer replaces it. */
	@Test
	void readersNeverMissTheDirectory() throws InterruptedException {
		ModelDirectory.write(this.model, (files) -> fill(files, 0));
		AtomicBoolean done = new AtomicBoolean();
		Thread writer = new Thread(() -> {
			try {
				for (int i = 0; i < 30; i++) {
					int value = i;
					ModelDirectory.write(this.model, (files) -> fill(files, value));
				}
			}
			finally {
				done.set(true);
			}
		});
		writer.start();
		int opened = 0;
		try {
			while (!done.get()) {
				ModelDirectory.open(this.model);
				opened++;
			}
		}
		finally {
			writer.join();
		}
		assertThat(opened).isPositive();
		assertThat(weight(ModelDirectory.open(this.model))).isEqualTo(29);
	}

	@Test
	void neverDeletesWhatIsNoModel() throws IOException {
		Files.createDirectory(this.model);
		Path letter = Files.writeString(this.model.resolve("letter.txt"), "dear");
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> ModelDirectory.write(this.model, (files) -> fill(files, 1)))
			.withMessageContaining("something other than a model");
		assertThat(letter).exists();
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> ModelDirectory.write(letter, (files) -> fill(files, 1)))
			.withMessageContaining("is not a directory");
		Files.delete(letter);
		ModelDirectory.write(this.model, (files) -> fill(files, 1));
		assertThat(weight(ModelDirectory.open(this.model))).isEqualTo(1);
	}

	@Test
	void tellsWhatIsMissing() throws IOException {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ModelDirectory.open(this.model))
			.withMessageContaining(this.model + " does not exist");
		Files.createDirectory(this.model);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ModelDirectory.open(this.model))
			.withMessageContaining("holds no config.json");
		Path config = Files.writeString(this.model.resolve("config.json"), "{}");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ModelDirectory.open(this.model))
			.withMessageContaining("holds no weights");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ModelDirectory.open(config))
			.withMessageContaining("is not a directory");
	}

	@Test
	void shardsAppearAsOneFile() throws IOException {
		shards("{\"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"model-2.safetensors\"}}");
		try (TensorFile weights = ModelDirectory.open(this.model).weights()) {
			assertThat(weights.entries().keySet()).containsExactly("a", "b");
			assertThat(weights.readFloats("a")).containsExactly(1);
			assertThat(weights.readFloats("b")).containsExactly(2);
		}
	}

	@ParameterizedTest
	@ValueSource(strings = { "../model-1.safetensors", "/etc/model-1.safetensors", "..\\\\model-1.safetensors",
			"model-1.safetensors\\u0000", "", "..", ".", "config.json", "sub/model-1.safetensors",
			"model-3.safetensors" })
	void shardsStayInTheDirectory(String name) throws IOException {
		Files.copy(shards("{\"weight_map\": {\"a\": \"" + name + "\"}}"), this.parent.resolve("model-1.safetensors"));
		ModelDirectory opened = ModelDirectory.open(this.model);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(opened::weights);
	}

	@ParameterizedTest
	@ValueSource(strings = { "{}", "{\"weight_map\": {}}", "{\"weight_map\": []}", "[]",
			"{\"weight_map\": {\"a\": [1]}}", "{\"weight_map\": {\"c\": \"model-1.safetensors\"}}" })
	void refusesDamagedIndexes(String index) throws IOException {
		shards(index);
		ModelDirectory opened = ModelDirectory.open(this.model);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(opened::weights)
			.withMessageContaining("model.safetensors.index.json");
	}

	@Test
	void refusesATensorInTwoShards() throws IOException {
		shards("{\"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"model-2.safetensors\"}}");
		save(this.model.resolve("model-2.safetensors"), "a", 2);
		ModelDirectory opened = ModelDirectory.open(this.model);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(opened::weights)
			.withMessageContaining("model-2.safetensors")
			.withMessageContaining("'a' a second time");
	}

	private Path shards(String index) throws IOException {
		Files.createDirectory(this.model);
		Files.writeString(this.model.resolve("config.json"), "{}");
		Files.writeString(this.model.resolve("model.safetensors.index.json"), index);
		save(this.model.resolve("model-2.safetensors"), "b", 2);
		return save(this.model.resolve("model-1.safetensors"), "a", 1);
	}

	private static void fill(Path files, int value) {
		ConfigFile.write(files.resolve("config.json"), Map.of("hidden_size", value));
		save(files.resolve("model.safetensors"), "w", value);
	}

	private static Path save(Path file, String name, float value) {
		try (var writer = SafetensorsWriter.create(file, List.of(TensorEntry.of(name, ElementType.F32, 1)))) {
			writer.write(name, FloatBuffer.wrap(new float[] { value }));
		}
		return file;
	}

	private static float weight(ModelDirectory directory) {
		try (TensorFile weights = directory.weights()) {
			return weights.readFloats("w")[0];
		}
	}

	private static List<String> names(Path directory) throws IOException {
		try (Stream<Path> files = Files.list(directory)) {
			return files.map((file) -> file.getFileName().toString()).sorted().toList();
		}
	}

}

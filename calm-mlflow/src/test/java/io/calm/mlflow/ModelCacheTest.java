package io.calm.mlflow;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

import io.calm.input.InvalidInputException;
import io.calm.mlflow.StubServer.Answer;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * What is registered is what is loaded, and what is in the cache is what was registered.
 */
class ModelCacheTest {

	private final Path directory;

	private final Path cache;

	private final StubServer server = new StubServer();

	private final MlflowRegistry registry;

	ModelCacheTest(@TempDir Path directory) throws IOException {
		this.directory = directory;
		this.cache = directory.resolve("cache");
		this.registry = MlflowRegistry.of(MlflowConnection.to(this.server.uri()), this.cache);
	}

	@AfterEach
	void closeServer() {
		this.server.close();
	}

	private Path model() throws IOException {
		Path model = this.directory.resolve("model-7");
		for (Path part : List.of(model, model.resolve("autoencoder"))) {
			Files.createDirectories(part);
			Files.writeString(part.resolve("config.json"), "{}");
			Files.writeString(part.resolve("model.safetensors"), "weights");
		}
		return model;
	}

	private String register(Path model) {
		return this.registry.register("stories", model, (version) -> {
		}).uri();
	}

	private static List<String> files(Path directory) throws IOException {
		try (Stream<Path> walk = Files.walk(directory)) {
			return walk.filter(Files::isRegularFile)
				.map((file) -> directory.relativize(file).toString())
				.sorted()
				.toList();
		}
	}

	private long fetched() {
		return this.server.calls().stream().filter((call) -> call.what().matches("GET .*model.safetensors")).count();
	}

	@Test
	void whatIsInTheCacheIsNotFetchedAgain() throws IOException {
		String uri = register(model());
		Path loaded = this.registry.load(uri);
		assertThat(fetched()).isEqualTo(2);
		assertThat(this.registry.load(uri)).isEqualTo(loaded);
		assertThat(fetched()).isEqualTo(2);
	}

	@ParameterizedTest
	@ValueSource(strings = { "model.safetensors", "autoencoder/config.json", "checksums.sha256" })
	void damagedCacheIsFetchedAgain(String damaged) throws IOException {
		String uri = register(model());
		Path file = this.registry.load(uri).resolve(damaged);
		String content = Files.readString(file);
		for (Path each : List.of(file, Files.createFile(file.resolveSibling("more")))) {
			if (each.equals(file)) {
				Files.writeString(file, "");
			}
			assertThat(this.registry.load(uri).resolve(damaged)).hasContent(content);
			assertThat(file.resolveSibling("more")).doesNotExist();
		}
		Files.delete(file);
		assertThat(this.registry.load(uri).resolve(damaged)).hasContent(content);
		assertThat(this.cache).isDirectoryContaining((path) -> true);
		// and one that says that it is used
		assertThat(files(this.cache)).hasSize(6);
	}

	@Test
	void linksAreFollowed() throws IOException {
		Path model = model();
		Files.move(model.resolve("autoencoder"), this.directory.resolve("elsewhere"));
		Files.createSymbolicLink(model.resolve("autoencoder"), Path.of("../elsewhere"));
		Path latest = Files.createSymbolicLink(this.directory.resolve("latest"), Path.of("model-7"));
		Path loaded = this.registry.load(register(latest));
		assertThat(files(loaded)).containsExactly("autoencoder/config.json", "autoencoder/model.safetensors",
				"checksums.sha256", "config.json", "model.safetensors");
	}

	@Test
	void linkToNothingIsRefusedBeforeAnythingIsSent() throws IOException {
		Path model = model();
		Files.createSymbolicLink(model.resolve("tokenizer.json"), Path.of("nothing"));
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> register(model))
			.withMessageContaining("tokenizer.json is a link to nothing");
		assertThat(this.server.calls()).isEmpty();
	}

	@Test
	void linkThatLeadsRoundIsRefused() throws IOException {
		Path model = model();
		Files.createSymbolicLink(model.resolve("autoencoder/round"), Path.of("../../model-7"));
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> register(model))
			.withMessageContaining("round");
		assertThat(this.server.calls()).isEmpty();
	}

	@ParameterizedTest
	@ValueSource(strings = { "m\u00e4rchen (1).txt", "a+b=c,d~e@f.txt", ".hidden", "..two", "a'b" })
	void whatIsRegisteredCanBeLoaded(String name) throws IOException {
		Path model = model();
		Files.writeString(model.resolve(name), "more");
		assertThat(this.registry.load(register(model)).resolve(name)).hasContent("more");
	}

	@ParameterizedTest
	@ValueSource(strings = { "a:b", "a#b", "a\nb", "a%41", "a?", "a\\b" })
	void nameThatCannotBeLoadedIsNotRegistered(String name) throws IOException {
		Path model = model();
		Files.writeString(model.resolve(name), "more");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> register(model))
			.withMessageContaining("has a name that cannot be registered");
		assertThat(this.server.calls()).isEmpty();
	}

	@ParameterizedTest
	@ValueSource(strings = { "latest", "v1", "a/b", "a@b", "" })
	void aliasThatCannotBeSetIsNotRegistered(String alias) throws IOException {
		Path model = model();
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> this.registry.register("stories", model, (version) -> version.alias(alias)))
			.withMessageContaining("alias");
		assertThat(this.server.calls()).isEmpty();
	}

	@Test
	void whatAKilledProcessHasLeftIsDeleted() throws IOException {
		String uri = register(model());
		Path abandoned = Files.createDirectories(this.cache.resolve(".incomplete-1"));
		Files.writeString(abandoned.resolve("model.safetensors"), "half");
		Files.createFile(abandoned.resolve(".lock"));
		Path inUse = Files.createDirectories(this.cache.resolve(".incomplete-2"));
		try (FileChannel channel = FileChannel.open(inUse.resolve(".lock"), StandardOpenOption.CREATE,
				StandardOpenOption.WRITE); FileLock lock = channel.lock()) {
			assertThat(lock.isValid()).isTrue();
			this.registry.load(uri);
			assertThat(abandoned).doesNotExist();
			assertThat(inUse).exists();
		}
	}

	/** Models of the same size, and room for two. */
	@Test
	void thoseUsedLongestAgoAreDeletedBeyondTheLimit() throws IOException {
		List<Path> loaded = new ArrayList<>();
		for (int i = 0; i < 3; i++) {
			loaded.add(loadChampion(this.registry, i));
		}
		// in another order than they were fetched in
		age(loaded.get(1), 30);
		age(loaded.get(0), 20);
		age(loaded.get(2), 10);
		MlflowRegistry small = MlflowRegistry.of(MlflowConnection.to(this.server.uri()), this.cache,
				2 * size(loaded.get(0)) + 1);
		Path third = loadChampion(small, 3);
		assertThat(loaded.get(0)).doesNotExist();
		assertThat(loaded.get(1)).doesNotExist();
		assertThat(List.of(loaded.get(2), third)).allSatisfy((each) -> assertThat(each).exists());
		// now it is used by another process alone
		Path lock = this.cache.resolve(".used-" + loaded.get(2).getFileName());
		try (FileChannel channel = FileChannel.open(lock, StandardOpenOption.READ, StandardOpenOption.WRITE);
				FileLock used = channel.lock(0, Long.MAX_VALUE, true)) {
			assertThat(used.isShared()).isTrue();
			Path fourth = loadChampion(small, 4);
			assertThat(List.of(loaded.get(2), third, fourth)).allSatisfy((each) -> assertThat(each).exists());
		}
		assertThat(loadChampion(small, 5)).exists();
		assertThat(loaded.get(2)).doesNotExist();
		assertThat(third).doesNotExist();
	}

	@Test
	void whatAnAddressLedToBeforeMayGoWhenItHasLedElsewhere() throws IOException {
		MlflowRegistry small = MlflowRegistry.of(MlflowConnection.to(this.server.uri()), this.cache, 1);
		Path first = loadChampion(small, 0);
		Path second = loadChampion(small, 1);
		assertThat(first).as("may be served until the new one is").exists();
		Path third = loadChampion(small, 2);
		assertThat(first).doesNotExist();
		assertThat(List.of(second, third)).allSatisfy((each) -> assertThat(each).exists());
	}

	/** Registers a model, lets the alias name it and loads it by the alias. */
	private Path loadChampion(MlflowRegistry registry, int number) throws IOException {
		Path model = model();
		Files.writeString(model.resolve("model.safetensors"), "weights " + number);
		int version = Integer.parseInt(register(model).replaceAll(".*/", ""));
		this.server.special = (call) -> call.what().equals("GET registered-models/alias")
				? Optional.of(Answer.of(200, "{\"model_version\":" + this.server.version(version) + "}"))
				: Optional.empty();
		return registry.load("models:/stories@champion");
	}

	private static long size(Path model) throws IOException {
		long size = 0;
		for (String file : files(model)) {
			size += Files.size(model.resolve(file));
		}
		return size;
	}

	private static void age(Path model, int minutes) throws IOException {
		Files.setLastModifiedTime(model, FileTime.from(Instant.now().minus(Duration.ofMinutes(minutes))));
	}

	@Test
	void whatFailsLeavesNothing() throws IOException {
		String uri = register(model());
		this.server.special = (call) -> call.what().endsWith("model.safetensors") ? Optional.of(Answer.of(500, ""))
				: Optional.empty();
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> this.registry.load(uri));
		assertThat(this.cache).isEmptyDirectory();
	}

}

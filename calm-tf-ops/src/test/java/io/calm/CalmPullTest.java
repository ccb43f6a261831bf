package io.calm;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import io.calm.checkpoint.ModelDirectory;
import io.calm.generation.GenerationEngine;
import io.calm.hub.Hub;
import io.calm.hub.HubServer;
import io.calm.hub.ModelName;
import io.calm.input.InvalidInputException;
import io.calm.model.TinyModel;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * A model as the authors publish it: with its autoencoder in a repository of its own, and
 * the tokenizer, without a PAD, in that of a large model of somebody else.
 */
class CalmPullTest {

	private static final Consumer<CalmPull> PARTS = (parts) -> parts.autoencoder("hf:authors/ae")
		.tokenizer("hf:others/llama");

	private final HubServer server = new HubServer();

	private final Path cache;

	private final Map<String, byte[]> model;

	private final Map<String, byte[]> llama;

	CalmPullTest(@TempDir Path directory) throws IOException {
		this.cache = directory.resolve("hub");
		this.model = this.server.publish("authors/calm", reference("energy"), "config.json", "model.safetensors");
		this.server.publish("authors/ae", reference("autoencoder"), "config.json", "model.safetensors");
		Path tokenizer = Files.createDirectories(directory.resolve("tokenizer"));
		Files.writeString(tokenizer.resolve("tokenizer.json"), tokenizer(96));
		Files.writeString(tokenizer.resolve("tokenizer_config.json"), "{\"bos_token\": \"t1\", \"eos_token\": \"t2\"}");
		this.llama = this.server.publish("others/llama", tokenizer);
		this.llama.put("config.json", new byte[10]);
		this.llama.put("model.safetensors", new byte[1000]);
		// of another model, by mistake
		this.model.put("tokenizer_config.json", "{\"pad_token\": \"t3\"}".getBytes());
	}

	@AfterEach
	void stop() {
		this.server.close();
	}

	private static Path reference(String name) {
		try {
			return Path.of(Objects.requireNonNull(CalmPullTest.class.getResource("/reference/" + name)).toURI());
		}
		catch (URISyntaxException ex) {
			throw new IllegalStateException(ex);
		}
	}

	private static String tokenizer(int ids) {
		return "{\"version\":\"1.0\",\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"},"
				+ "\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"t0\",\"vocab\":{"
				+ IntStream.range(0, ids).mapToObj((id) -> "\"t" + id + "\":" + id).collect(Collectors.joining(","))
				+ "}}}";
	}

	private Path pull(@Nullable String token, Consumer<CalmPull> parts) {
		return Calm.pull("hf:authors/calm", parts.andThen((pull) -> pull.hub(hub(token))));
	}

	private Hub hub(@Nullable String token) {
		return new Hub(this.server.endpoint(), token, this.cache);
	}

	private String refusal(@Nullable String token, Consumer<CalmPull> parts) {
		List<String> messages = new ArrayList<>();
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> pull(token, parts))
			.satisfies((ex) -> messages.add(String.valueOf(ex.getMessage())));
		assertThat(this.cache.resolve("models--authors--calm/calm")).doesNotExist();
		return messages.get(0);
	}

	private static List<String> files(Path directory) throws IOException {
		try (Stream<Path> files = Files.walk(directory)) {
			return files.filter(Files::isRegularFile).map((file) -> directory.relativize(file).toString()).toList();
		}
	}

	@Test
	void aPublishedModelIsPutTogether() throws IOException {
		Path model = pull(null, PARTS);
		assertThat(files(model)).containsExactlyInAnyOrder("config.json", "model.safetensors", "tokenizer.json",
				"tokenizer_config.json", "autoencoder/config.json", "autoencoder/model.safetensors");
		assertThat(model.resolve("tokenizer_config.json"))
			.hasBinaryContent(this.llama.getOrDefault("tokenizer_config.json", new byte[0]));
		try (GenerationEngine engine = GenerationEngine.open(model, (options) -> options.program(TinyModel.PROGRAM))) {
			assertThat(engine.generate("t5 t6", (request) -> request.maxNewTokens(8)).text()).isNotBlank();
		}
		assertThat(ModelDirectory.open(model).autoencoder()).isPresent();
		// the large model of the tokenizer stays where it is
		assertThat(this.server.requests()).noneMatch((path) -> path.startsWith("/others/llama/model"));
		assertThat(model.getParent()).isDirectoryNotContaining("glob:**/.*");

		// again: what is there, and the three listings
		assertThat(pull(null, PARTS)).isEqualTo(model);
		assertThat(this.server.requests()).hasSize(3).allMatch((path) -> path.startsWith("/api/models/"));
		// the cache can be moved, as Python's links can
		Path moved = Files.move(this.cache, this.cache.resolveSibling("moved"));
		assertThat(files(moved.resolve(this.cache.relativize(model)))).hasSize(6);
	}

	@Test
	void anotherVersionOfAPartIsAnotherDirectory() {
		Path model = pull(null, PARTS);
		this.llama.put("tokenizer_config.json", "{\"bos_token\": \"t1\", \"eos_token\": \"t2\" }".getBytes());
		Path other = pull(null, PARTS);
		assertThat(other).isNotEqualTo(model);
		assertThat(model.resolve("tokenizer_config.json")).isRegularFile();
		assertThat(other.resolve("tokenizer_config.json"))
			.hasBinaryContent(this.llama.getOrDefault("tokenizer_config.json", new byte[0]));
		assertThat(pull(null, (parts) -> parts.autoencoder("hf:authors/ae"))).isNotIn(model, other);
	}

	@Test
	void twoAtOnceMakeTheSame() throws Exception {
		Hub.Progress nobody = (file, bytes, size) -> {
		};
		Path language = hub(null).pull(ModelName.of("hf:authors/calm"), List.of(), nobody);
		Path autoencoder = hub(null).pull(ModelName.of("hf:authors/ae"), List.of(), nobody);
		Path tokenizer = hub(null).pullTokenizer(ModelName.of("hf:others/llama"), nobody);
		Callable<Path> task = () -> Hub.putTogether(language, autoencoder, tokenizer, List.of());
		Path model = task.call();
		ExecutorService threads = Executors.newFixedThreadPool(8);
		try {
			for (int round = 0; round < 20; round++) {
				for (String file : files(model)) {
					Files.delete(model.resolve(file));
				}
				Files.delete(model.resolve("autoencoder"));
				Files.delete(model);
				for (Future<Path> made : threads.invokeAll(Collections.nCopies(8, task))) {
					assertThat(made.get()).isEqualTo(model);
				}
				assertThat(files(model)).hasSize(6);
				assertThat(model.getParent()).isDirectoryNotContaining("glob:**/.*");
			}
		}
		finally {
			threads.shutdownNow();
		}
	}

	@Test
	void aPartThatIsNotThereOrNotGivenAwayIsNamed() {
		assertThat(refusal(null, PARTS.andThen((parts) -> parts.autoencoder("hf:authors/none@v1"))))
			.startsWith("hf:authors/none@v1 is not at http://localhost");
		assertThat(refusal(null, (parts) -> parts.tokenizer("hf:authors/ae")))
			.startsWith("hf:authors/ae@main has no file tokenizer.json");
	}

	@Test
	void aGatedTokenizerIsRefusedFirst() {
		this.server.gate("others/llama");
		assertThat(refusal(null, PARTS)).startsWith("hf:others/llama@main: may not be read (401)")
			.contains("set HF_TOKEN");
		assertThat(refusal("hf_mine", PARTS)).startsWith("hf:others/llama@main: may not be read (403)")
			.contains("accept its terms");
		// nothing large was fetched before
		assertThat(this.server.requests()).noneMatch((path) -> path.startsWith("/authors/"));
	}

	@Test
	void aPartThatDoesNotFitIsRefused() throws IOException {
		assertThat(refusal(null, PARTS.andThen((parts) -> parts.autoencoder("hf:authors/calm"))))
			.contains("hf:authors/calm@main is no autoencoder");
		this.server.publish("others/baseline", reference("ar"), "config.json", "model.safetensors");
		assertThat(refusal(null, PARTS.andThen((parts) -> parts.autoencoder("hf:others/baseline"))))
			.contains("hf:others/baseline@main is no autoencoder");
		assertThat(refusal(null, PARTS.andThen((parts) -> parts.autoencoder("hf:others/llama"))))
			.startsWith("hf:others/llama@main: ");
		this.llama.put("tokenizer.json", tokenizer(95).getBytes());
		assertThat(refusal(null, PARTS)).contains("hf:authors/calm@main", "its tokenizer has 96 ids and its model 97");
		this.llama.put("tokenizer.json", tokenizer(96).getBytes());
		Map<String, byte[]> other = this.server.publish("others/ae", reference("autoencoder"), "config.json",
				"model.safetensors");
		other.put("config.json",
				Files.readString(reference("autoencoder").resolve("config.json"))
					.replace("\"latent_size\": 16", "\"latent_size\": 32")
					.getBytes());
		assertThat(refusal(null, PARTS.andThen((parts) -> parts.autoencoder("hf:others/ae"))))
			.contains("hf:others/ae@main", "has the shape");
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> Calm.pull("hf:others/baseline", PARTS.andThen((parts) -> parts.hub(hub(null)))))
			.withMessageContaining("hf:others/baseline@main")
			.withMessageContaining("is no CALM language model");
	}

	@Test
	void filesOfTheAutoencoderAreAskedForByTheirPlaceInTheModel() {
		this.server.publish("authors/ae", reference("autoencoder"), "pytorch_model.bin");
		Path model = pull(null, PARTS.andThen((parts) -> parts.include(List.of("autoencoder/pytorch_model.bin"))));
		assertThat(model.resolve("autoencoder/pytorch_model.bin")).isRegularFile();
		assertThat(model.resolve("pytorch_model.bin")).doesNotExist();
	}

}

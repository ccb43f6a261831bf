package io.calm.hub;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;

import io.calm.generation.GenerationEngine;
import io.calm.input.InvalidInputException;
import io.calm.model.TinyModel;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/** Against a server that behaves like the hub, and one that keeps its large files. */
class HubTest {

	private static final String TINY = "me/tiny";

	private final Path directory;

	private final HubServer server = new HubServer();

	private final Map<String, byte[]> files;

	HubTest(@TempDir Path directory) throws IOException {
		this.directory = directory;
		Path model = directory.resolve("model");
		TinyModel.write(model, TinyModel.autoencoder().build(), 0.25f, 1);
		this.files = this.server.publish(TINY, model);
		this.files.put("README.md", new byte[] { 1 });
		this.files.put("pytorch_model.bin", new byte[100]);
		this.files.put("../../evil.json", new byte[] { 2 });
		this.files.put("original/config.json", new byte[] { 3 });
	}

	@AfterEach
	void stop() {
		this.server.close();
	}

	private Path cache() {
		return this.directory.resolve("hub");
	}

	private Path pull(String name, @Nullable String token, String... more) {
		Hub hub = new Hub(this.server.endpoint(), token, cache(), Duration.ofMillis(1));
		return hub.pull(ModelName.of(name), List.of(more),
				(file, bytes, size) -> assertThat(bytes).isBetween(1L, size));
	}

	private String refusal(String name, @Nullable String token, String... more) {
		List<String> messages = new ArrayList<>();
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> pull(name, token, more))
			.satisfies((ex) -> messages.add(String.valueOf(ex.getMessage())));
		return messages.get(0);
	}

	@Test
	void aModelIsFetchedIntoTheCacheOfPython() throws IOException {
		String commit = this.server.commit(TINY);
		Path model = pull("hf:me/tiny", HubServer.TOKEN);
		assertThat(model).isEqualTo(cache().resolve("models--me--tiny/snapshots/" + commit));
		assertThat(model).isDirectoryContaining("glob:**/config.json")
			.isDirectoryNotContaining("glob:**/{README.md,pytorch_model.bin,evil.json,original}");
		assertThat(cache().resolve("models--me--tiny/refs/main")).hasContent(commit);
		Path weights = model.resolve("model.safetensors");
		assertThat(Files.readSymbolicLink(weights)).isEqualTo(Path.of("../../blobs/"
				+ HubServer.digest("SHA-256", this.files.getOrDefault("model.safetensors", new byte[0]))));
		assertThat(weights).hasBinaryContent(this.files.getOrDefault("model.safetensors", new byte[0]));
		assertThat(this.directory.resolve("evil.json")).doesNotExist();
		try (GenerationEngine engine = GenerationEngine.open(model, (options) -> options.program(TinyModel.PROGRAM))) {
			assertThat(engine.generate("a", (request) -> request.maxNewTokens(4)).text()).isNotNull();
		}
		// the token is the hub's alone
		assertThat(this.server.hubSaw).isNotEmpty()
			.allMatch((seen) -> ("Bearer " + HubServer.TOKEN).equals(seen.authorization()));
		assertThat(this.server.storeSaw).hasSize(1).allMatch((seen) -> seen.authorization() == null);

		// again: the listing alone
		this.server.hubSaw.clear();
		assertThat(pull("hf:me/tiny@" + commit, null)).isEqualTo(model);
		assertThat(this.server.hubSaw).hasSize(1);
		assertThat(this.server.storeSaw).hasSize(1);
		pull("hf:me/tiny", null, "pytorch_model.bin");
		assertThat(model.resolve("pytorch_model.bin")).hasBinaryContent(new byte[100]);
	}

	@ParameterizedTest
	@ValueSource(booleans = { true, false })
	void aCutConnectionGoesOn(boolean ranges) {
		this.server.ranges = ranges;
		byte[] large = new byte[300_000];
		new Random(1).nextBytes(large);
		this.files.put("more.safetensors", large);
		this.files.remove("model.safetensors");
		this.server.cuts = 2;
		Path model = pull("hf:me/tiny", null);
		assertThat(model.resolve("more.safetensors")).hasBinaryContent(large);
		assertThat(this.server.storeSaw).hasSize(3);
		assertThat(this.server.storeSaw.get(1).range()).isNotNull().doesNotContain("bytes=0-");
	}

	@Test
	void whatWasCutOffGoesOnInTheNextRun() throws IOException {
		byte[] weights = this.files.getOrDefault("model.safetensors", new byte[0]);
		this.server.cuts = 100;
		assertThat(refusal("hf:me/tiny", null)).contains("hf:me/tiny@main cannot be fetched", "what is there is kept");
		Path part = cache().resolve("models--me--tiny/blobs/" + HubServer.digest("SHA-256", weights) + ".incomplete");
		long there = Files.size(part);
		assertThat(there).isBetween(weights.length / 2L, weights.length - 1L);
		this.server.cuts = 0;
		this.server.storeSaw.clear();
		assertThat(pull("hf:me/tiny", null).resolve("model.safetensors")).hasBinaryContent(weights);
		assertThat(this.server.storeSaw).extracting(HubServer.Seen::range).containsExactly("bytes=" + there + "-");
		assertThat(part).doesNotExist();
	}

	@Test
	void contentOfAnotherDigestIsRefused() throws IOException {
		this.server.lies = true;
		assertThat(refusal("hf:me/tiny", null)).contains("config.json is not what the hub lists");
		assertThat(cache().resolve("models--me--tiny/snapshots")).doesNotExist();
	}

	@Test
	void theHubSaysNo() {
		this.server.troubles.add(401);
		assertThat(refusal("hf:me/tiny", null)).contains("hf:me/tiny@main: may not be read (401)", "set HF_TOKEN");
		this.server.troubles.add(403);
		assertThat(refusal("hf:me/tiny", HubServer.TOKEN)).contains("accept its terms").doesNotContain(HubServer.TOKEN);
		assertThat(refusal("hf:me/other", null)).contains("hf:me/other@main is not at http://localhost");
		assertThat(refusal("hf:me/tiny@v2", null)).contains("hf:me/tiny@v2 is not at", "check name and revision");
		assertThat(refusal("hf:me/tiny", null, "other.bin")).contains("has no file other.bin");
		assertThat(refusal("hf:me/tiny", null, "../x.bin")).contains("../x.bin is no file of a model directory");
		this.files.remove("config.json");
		assertThat(refusal("hf:me/tiny", null)).contains("has no file config.json");
	}

	@Test
	void aBusyHubIsAskedAgain() {
		this.server.troubles.addAll(List.of(429, 503, 429));
		assertThat(pull("hf:me/tiny", null)).isDirectory();
		this.server.troubles.addAll(List.of(429, 429, 429, 429, 429));
		assertThat(refusal("hf:me/tiny", null)).contains("answers no more requests (429)", "try again later");
	}

	@ParameterizedTest
	@ValueSource(strings = { "me/tiny", "hf:tiny", "hf:me/tiny/x", "hf:../tiny", "hf:me/..", "hf:me/tiny@../main",
			"hf:me/tiny@", "hf:me/ti ny", "hf:me/tiny?x" })
	void otherNamesAreRefused(String name) {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> ModelName.of(name))
			.withMessageContaining("write hf:OWNER/NAME");
	}

	@Test
	void aTokenIsNotSentUnencrypted() {
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> new Hub("http://hub.example", HubServer.TOKEN, cache()))
			.withMessageContaining("unencrypted")
			.withMessageNotContaining(HubServer.TOKEN);
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> new Hub("hub.example", null, cache()))
			.withMessageContaining("is no address of a hub");
	}

}

package io.calm.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.hub.HubServer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static io.calm.cli.Invocation.calm;
import static org.assertj.core.api.Assertions.assertThat;

/**
 * Every head, and the baseline, goes all the way: trained, written, recognised, scored,
 * generated from.
 */
class ModelsTest {

	@TempDir
	private Path directory = Path.of(".");

	@ParameterizedTest
	@CsvSource(delimiter = '|', textBlock = """
			energy    | --patch-size 2                                 | noise_size         | 64    | discrete
			flow      | --solver euler --sampling-steps 3 --input both | solver             | euler | both
			diffusion | --sampling-steps 5 --input continuous          | num_sampling_steps | 5     | continuous
			""")
	void goesAllTheWay(String head, String options, String setting, String value, String input) throws IOException {
		Path corpus = this.directory.resolve("corpus.txt");
		Files.writeString(corpus, "The quick brown fox jumps over the lazy dog. ".repeat(60));
		String model = this.directory.resolve("model").toString();
		run("train --quiet --no-fusion --tokenizer byte --preset nano --latent-size 8 --autoencoder-size 64"
				+ " --autoencoder-steps 2 --steps 2 --batch 4 --block 64 --head " + head
				+ ((options != null) ? " " + options : "") + " --corpus " + corpus + " --output " + model);

		JsonObject inspected = run("inspect " + model);
		assertThat(inspected.get("kind").getAsString()).isEqualTo(head);
		JsonObject settings = inspected.getAsJsonObject("languageModel");
		assertThat(settings.get(setting).getAsString()).isEqualTo(value);
		assertThat(settings.get("model_input").getAsString()).isEqualTo(input);
		// --corpus takes what follows it, and gives the model back
		JsonObject evaluated = run("evaluate --limit 100 --quiet --corpus " + corpus + " " + model);
		assertThat(evaluated.get("positions").getAsInt()).isPositive();
		String generation = "generate " + model + " --quiet --max-new-tokens 9 --seed 3 --prompt The";
		JsonObject generated = run(generation);
		assertThat(generated).isEqualTo(run(generation));
	}

	@Test
	void theBaselineToo() throws IOException {
		Path corpus = this.directory.resolve("corpus.txt");
		Files.writeString(corpus, "The quick brown fox jumps over the lazy dog. ".repeat(60));
		String model = this.directory.resolve("model").toString();
		Path trace = this.directory.resolve("trace.json");
		run("train --baseline --quiet --no-fusion --tokenizer byte --preset nano --steps 2 --batch 4 --block 64"
				+ " --evaluate-every 1 --evaluation-corpus " + corpus + " --corpus " + corpus + " --trace " + trace
				+ " --output " + model);
		assertThat(trace).content().contains("baseline", "MatMul");

		JsonObject inspected = run("inspect " + model);
		assertThat(inspected.get("kind").getAsString()).isEqualTo("baseline");
		assertThat(inspected.getAsJsonObject("languageModel").get("num_hidden_layers").getAsInt()).isEqualTo(2);
		JsonObject evaluated = run("evaluate " + model + " --block 64 --limit 100 --quiet --corpus " + corpus);
		assertThat(evaluated.get("perplexity").getAsDouble())
			.isEqualTo(Math.exp(evaluated.get("crossEntropy").getAsDouble()));
		JsonObject aligned = evaluated.getAsJsonObject("patchAligned");
		assertThat(aligned.get("positions").getAsInt()).isEqualTo(100);
		assertThat(evaluated.getAsJsonObject("everyPosition").get("positions").getAsInt()).isBetween(396, 410);
		String generation = "generate " + model
				+ " --quiet --max-new-tokens 9 --seed 3 --temperature 1.5 --top-k 50 --top-p 0.9 --prompt The";
		assertThat(run(generation)).isEqualTo(run(generation));

		Path warm = this.directory.resolve("warm");
		run("train --quiet --no-fusion --steps 2 --batch 4 --block 64 --patch-size 2 --latent-size 8"
				+ " --autoencoder-size 64 --autoencoder-steps 2 --frozen-steps 1 --backbone-rate 0.5 --corpus " + corpus
				+ " --warm-start " + model + " --output " + warm);
		JsonObject shape = run("inspect " + warm).getAsJsonObject("languageModel");
		assertThat(shape.get("hidden_size")).isEqualTo(inspected.getAsJsonObject("languageModel").get("hidden_size"));
		assertThat(warm.resolve("tokenizer.json")).hasSameBinaryContentAs(Path.of(model, "tokenizer.json"));
	}

	@Test
	void aFinishedModelIsTrainedOn() throws Exception {
		Path corpus = this.directory.resolve("corpus.txt");
		Files.writeString(corpus, "The quick brown fox jumps over the lazy dog. ".repeat(60));
		Path base = this.directory.resolve("base");
		String training = "train --quiet --no-fusion --steps 2 --batch 4 --block 64 --corpus " + corpus;
		run(training + " --tokenizer byte --preset nano --patch-size 2 --latent-size 8 --autoencoder-size 64"
				+ " --autoencoder-steps 2 --output " + base);
		Path tuned = this.directory.resolve("tuned");
		run(training + " --base " + pulled(base) + " --autoencoder-steps 0 --evaluate-every 1 --patience 1"
				+ " --evaluation-corpus " + corpus + " --output " + tuned);

		assertThat(run("inspect " + tuned)).isEqualTo(run("inspect " + base));
		assertThat(tuned.resolve("tokenizer.json")).hasSameBinaryContentAs(base.resolve("tokenizer.json"));
		String autoencoder = "autoencoder/model.safetensors";
		assertThat(tuned.resolve(autoencoder)).hasSameBinaryContentAs(base.resolve(autoencoder));

		Path both = this.directory.resolve("both");
		run(training + " --base " + base + " --autoencoder-steps 2 --output " + both);
		assertThat(Files.mismatch(both.resolve(autoencoder), base.resolve(autoencoder))).isNotNegative();
		assertThat(Files.mismatch(both.resolve("model.safetensors"), base.resolve("model.safetensors")))
			.isNotNegative();
	}

	/** As it comes from a hub on which its parts are apart. */
	private Path pulled(Path model) throws Exception {
		Path out = this.directory.resolve("pulled.json");
		Path log = this.directory.resolve("pull.log");
		try (HubServer hub = new HubServer()) {
			hub.publish("me/model", model, "config.json", "model.safetensors");
			hub.publish("me/autoencoder", model.resolve("autoencoder"));
			hub.publish("me/tokenizer", model, "tokenizer.json", "tokenizer_config.json");
			// the hub is what the environment says
			ProcessBuilder builder = new ProcessBuilder(
					Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx256m",
					"-XX:TieredStopAtLevel=1", "-cp",
					System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
					CalmCommand.class.getName(), "pull", "hf:me/model", "--autoencoder", "hf:me/autoencoder",
					"--tokenizer", "hf:me/tokenizer", "--json")
				.redirectOutput(out.toFile())
				.redirectError(log.toFile());
			builder.environment().put("HF_ENDPOINT", hub.endpoint());
			builder.environment().put("HF_HOME", this.directory.resolve("huggingface").toString());
			builder.environment().keySet().removeAll(Set.of("HF_TOKEN", "HF_HUB_CACHE"));
			assertThat(builder.start().waitFor()).as(Files.readString(log)).isZero();
		}
		assertThat(log).content().contains("model.safetensors");
		Path pulled = Path
			.of(JsonParser.parseString(Files.readString(out)).getAsJsonObject().get("directory").getAsString());
		assertThat(pulled).startsWith(this.directory.resolve("huggingface/hub"));
		return pulled;
	}

	@Test
	void anAdapterOfAFinishedModel() throws IOException {
		Path corpus = this.directory.resolve("corpus.txt");
		Files.writeString(corpus, "The quick brown fox jumps over the lazy dog. ".repeat(60));
		String base = this.directory.resolve("base").toString();
		String training = "train --quiet --no-fusion --steps 2 --batch 4 --block 64 --corpus " + corpus;
		run(training + " --tokenizer byte --baseline --preset nano --output " + base);
		String adapter = this.directory.resolve("adapter").toString();
		run(training + " --lora-rank 2 --lora-alpha 4 --base " + base + " --output " + adapter);
		assertThat(run("inspect " + adapter).get("adapterOf").getAsString()).isEqualTo(base);
		String merged = this.directory.resolve("merged").toString();
		run("merge " + adapter + " --output " + merged);
		JsonObject inspected = run("inspect " + merged);
		assertThat(inspected).isEqualTo(run("inspect " + base));
		String scores = " --block 64 --limit 100 --quiet --corpus " + corpus;
		assertThat(run("evaluate " + adapter + scores)).isEqualTo(run("evaluate " + merged + scores))
			.isNotEqualTo(run("evaluate " + base + scores));
	}

	private static JsonObject run(String line) {
		return calm((Object[]) (line + " --json").split(" ")).json();
	}

}

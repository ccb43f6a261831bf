package io.calm.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

import com.google.gson.JsonObject;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static io.calm.cli.Invocation.calm;
import static org.assertj.core.api.Assertions.assertThat;

/** A training whose options lie in a file. */
class RunFileTests {

	private static final String WEIGHTS = "model.safetensors";

	private final Path directory;

	private final Path corpus;

	RunFileTests(@TempDir Path directory) throws IOException {
		this.directory = directory;
		this.corpus = Files.writeString(directory.resolve("corpus.txt"), "The quick brown fox jumps. ".repeat(60));
	}

	private Path file(String content) throws IOException {
		return Files.writeString(this.directory.resolve("run.yaml"), content);
	}

	private Path smallRun() throws IOException {
		return file("""
				corpus: [%s]
				output: %s
				tokenizer: byte
				preset: nano
				no-fusion: true
				baseline: false
				latent-size: 8
				autoencoder-size: 64
				autoencoder-steps: 2
				steps: 2
				batch: 4
				block: 64
				warmup: 0
				decay: constant
				weight-decay: 0.5
				accumulation: 2
				""".formatted(this.corpus, this.directory.resolve("model")));
	}

	@Test
	void theFileIsTheRunAndTheCommandLineCountsMore() throws IOException {
		Path model = this.directory.resolve("model");
		assertThat(calm("--json", "train", smallRun(), "--quiet").json().get("output").getAsString())
			.isEqualTo(model.toString());
		Path written = model.resolve("run.yaml");
		assertThat(written).content()
			.contains("weight-decay: 0.5\n", "decay: constant\n", "steps: 2\n", "tokenizer: byte\n", "seed: 1\n",
					"no-fusion: true\n")
			.doesNotContain("baseline", "quiet", "json:", "dry-run");

		// what was written gives the same model again, as do the same options
		Path again = this.directory.resolve("again");
		calm("train", written, "--output", again, "--quiet", "--json").json();
		assertThat(again.resolve(WEIGHTS)).hasSameBinaryContentAs(model.resolve(WEIGHTS));
		Path options = this.directory.resolve("options");
		calm("train", "--corpus", this.corpus, "--output", options, "--tokenizer", "byte", "--preset", "nano",
				"--no-fusion", "--latent-size", "8", "--autoencoder-size", "64", "--autoencoder-steps", "2", "--steps",
				"2", "--batch", "4", "--block", "64", "--warmup", "0", "--decay", "constant", "--weight-decay", "0.5",
				"--accumulation", "2", "--quiet", "--json")
			.json();
		assertThat(options.resolve(WEIGHTS)).hasSameBinaryContentAs(model.resolve(WEIGHTS));

		Path other = this.directory.resolve("other");
		calm("train", written, "--output=" + other, "--weight-decay", "0", "--seed", "7", "--quiet", "--json").json();
		assertThat(other.resolve("run.yaml")).content().contains("weight-decay: 0.0\n", "seed: 7\n");
		assertThat(Files.mismatch(other.resolve(WEIGHTS), model.resolve(WEIGHTS))).isNotNegative();
	}

	/** What the base decides is not in the file, which would be refused otherwise. */
	@Test
	void theRunOfAFineTuningCanBeRepeated() throws IOException {
		Path model = this.directory.resolve("model");
		calm("train", smallRun(), "--quiet", "--json").json();
		Path tuned = this.directory.resolve("tuned");
		calm("train", "--base", model, "--corpus", this.corpus, "--output", tuned, "--steps", "2", "--batch", "4",
				"--block", "64", "--autoencoder-steps", "0", "--no-fusion", "--quiet", "--json")
			.json();
		Path again = this.directory.resolve("again");
		calm("train", tuned.resolve("run.yaml"), "--output", again, "--quiet", "--json").json();
		assertThat(again.resolve(WEIGHTS)).hasSameBinaryContentAs(tuned.resolve(WEIGHTS));
		Invocation refused = calm("train", smallRun(), "--base", model, "--output", this.directory.resolve("no"));
		assertThat(refused.err()).contains("--tokenizer has no meaning with --base");
	}

	@Test
	void aDryRunMeasuresAndWritesNothing() throws IOException {
		Path run = smallRun();
		List<Path> before = files();
		JsonObject report = calm("train", run, "--dry-run", "--steps", "1000", "--quiet", "--json").json();
		assertThat(files()).isEqualTo(before);
		assertThat(report.get("documents").getAsInt()).isEqualTo(1);
		assertThat(report.get("tokens").getAsInt()).isEqualTo(27 * 60 + 2);
		JsonObject model = report.getAsJsonObject("language-model");
		assertThat(model.getAsJsonObject("model").get("num_hidden_layers").getAsInt()).isEqualTo(2);
		// 405 patches or so of 4 tokens are 25 blocks of 16; two batches of 4 a step
		assertThat(model.get("stepsPerEpoch").getAsDouble()).isEqualTo(25 / 8.0);
		assertThat(model.get("epochs").getAsDouble()).isEqualTo(1000 / (25 / 8.0));
		assertThat(model.get("secondsPerStep").getAsDouble()).isPositive();
		// weights, sums, gradients, two moments and the average, beside the autoencoder
		assertThat(model.get("stateMegabytes").getAsDouble() * 1e6)
			.isGreaterThan(24.0 * model.get("parameters").getAsLong());
		assertThat(report.getAsJsonObject("autoencoder").get("parameters").getAsLong()).isPositive();
		assertThat(report.get("minutes").getAsDouble()).isPositive();

		Files.createDirectory(this.directory.resolve("model"));
		assertThat(calm("train", run, "--dry-run").err()).contains("model exists already");
	}

	private List<Path> files() throws IOException {
		try (Stream<Path> files = Files.walk(this.directory)) {
			return new ArrayList<>(files.sorted().toList());
		}
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
			lerning-rate: 1        | run.yaml has the key "lerning-rate", which is no option; write "learning-rate"
			qqq: 1                 | run.yaml has the key "qqq", which is no option; see 'calm train --help'
			quiet: true            | run.yaml has the key "quiet", which is no option
			steps: [1, 2]          | run.yaml, steps is a list; give one value
			steps: {a: 1}          | run.yaml, steps is not a value
			steps:                 | run.yaml, steps is not a value, or is empty
			corpus: [{a: 1}]       | run.yaml, corpus is not a value
			baseline: perhaps      | run.yaml, baseline is "perhaps"; choose true or false
			steps: many            | run.yaml has a value that does not fit (Invalid value for option '--steps'
			decay: never           | run.yaml has a value that does not fit (Invalid value for option '--decay'
			{a: [                  | run.yaml, line 2 is not YAML
			just words             | run.yaml is not a list of options
			steps: !!java.net.URL [x] | run.yaml
			seed: 1                | --output is missing
			output: x              | --corpus is missing
			beta1: 1               | training, beta1 is 1.0; choose a number from 0
			""")
	void whatIsWrongIsSaidInOneLine(String content, String message) throws IOException {
		Path run = file(content.startsWith("beta1")
				? "corpus: %s%noutput: x%ntokenizer: byte%n%s".formatted(this.corpus, content) : content + "\n");
		Invocation outcome = calm("train", run);
		assertThat(outcome.exit()).isEqualTo(2);
		assertThat(outcome.err().lines()).singleElement().asString().startsWith("calm: ").contains(message);
	}

	@Test
	void keysAndAnchorsAreBounded() throws IOException {
		assertThat(calm("train", file("steps: 1\nsteps: 2\n")).err()).contains("run.yaml, line 2", "steps");
		StringBuilder bomb = new StringBuilder("a: &a [x, x]\n");
		for (char name = 'b'; name < 'z'; name++) {
			bomb.append("%c: &%c [*%c, *%c]%n".formatted(name, name, name - 1, name - 1));
		}
		assertThat(calm("train", file(bomb.toString())).err().lines()).singleElement().asString().contains("run.yaml");
		assertThat(calm("train", file("#".repeat((1 << 20) + 1))).err())
			.contains("run.yaml is longer than 1048576 bytes");
		assertThat(calm("train", this.directory.resolve("none.yaml")).err()).contains("none.yaml cannot be read");
	}

}

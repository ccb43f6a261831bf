package io.calm.fuzz;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import com.google.gson.JsonObject;
import io.calm.cli.CommandLines;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Thousands of broken inputs, as {@code CONTRIBUTING.md} says. Whatever fails is told
 * with the seed that makes the same case again.
 */
class FuzzTests {

	private static final long SEED = Long.getLong("calm.fuzz.seed", System.currentTimeMillis());

	private static final long CASES = Long.getLong("calm.fuzz.cases", 10_000);

	private static final Path REFERENCE = Path.of("../calm-tf-ops/src/test/resources/reference");

	private final Map<String, Integer> outcomes = new TreeMap<>();

	private final List<String> failures = new ArrayList<>();

	/** The first case that has not been tried. */
	private long next = SEED;

	@Test
	void whateverIsWrongIsRefusedInALine(@TempDir Path directory) throws IOException, InterruptedException {
		long began = System.nanoTime();
		prepare(directory.resolve("models"));
		while (this.next < SEED + CASES) {
			work(directory);
		}
		System.out
			.println("Seed " + SEED + ", " + CASES + " cases in " + (System.nanoTime() - began) / 1_000_000_000 + " s");
		this.outcomes.forEach((outcome, count) -> System.out.println(count + " " + outcome));
		assertThat(this.failures).isEmpty();
	}

	/** Lets a process of its own try cases until it dies or has tried them all. */
	private void work(Path directory) throws IOException, InterruptedException {
		Path cases = Files.createTempDirectory(directory, "cases");
		Process process = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
				"-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-OmitStackTraceInFastThrow",
				"-Dcalm.fuzz.kind=" + System.getProperty("calm.fuzz.kind", ""),
				"-Dcalm.fuzz.seconds=" + System.getProperty("calm.fuzz.seconds", "60"), "-cp",
				System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
				Worker.class.getName(), directory.toString(), cases.toString(), String.valueOf(this.next),
				String.valueOf(SEED + CASES))
			.directory(cases.toFile())
			.redirectError(Path.of("target/fuzz-worker.log").toFile())
			.start();
		try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
			boolean told = true;
			for (String line = lines.readLine(); line != null; line = lines.readLine()) {
				if (line.startsWith("case ")) {
					told = false;
					this.next = Long.parseLong(line.substring(5)) + 1;
				}
				else if (line.matches("(accepted|refused|failed)\t.*")) {
					told = true;
					count(line.split("\t"));
				}
			}
			int code = process.waitFor();
			if (!told) {
				fail("?", "ends the process with " + code);
			}
			assertThat(this.next).as(() -> "the worker cannot begin, see target/fuzz-worker.log").isGreaterThan(SEED);
		}
		finally {
			process.destroyForcibly();
		}
	}

	private void count(String[] told) {
		this.outcomes.merge(told[1] + ": " + told[0], 1, Integer::sum);
		if (told[0].equals("failed")) {
			fail(told[1], told[3]);
		}
	}

	private void fail(String kind, String words) {
		String failure = "-Dcalm.fuzz.cases=1 -Dcalm.fuzz.seed=" + (this.next - 1) + " (" + kind + "): " + words;
		System.out.println(failure);
		this.failures.add(failure);
	}

	/** Models of every kind, ours and as the reference writes them. */
	private static void prepare(Path models) throws IOException {
		Files.createDirectories(models);
		Path tokenizer = Files.createDirectories(models.resolveSibling("tokenizer"));
		for (String name : List.of("tokenizer.json", "tokenizer_config.json")) {
			Files.copy(REFERENCE.resolveSibling("tokenizer-4k").resolve(name), tokenizer.resolve(name));
		}
		for (String name : List.of("energy", "flow", "diffusion", "ar")) {
			Path target = Files.createDirectories(models.resolve("published-" + name));
			Files.copy(REFERENCE.resolve(name + "/config.json"), target.resolve("config.json"));
			// that of one in the format of PyTorch, of another in parts
			String weights = name.equals("energy") ? "pytorch_model.bin" : "model.safetensors";
			boolean parts = name.equals("ar");
			Files.copy(REFERENCE.resolve(name).resolve(weights),
					target.resolve(parts ? "model-1.safetensors" : weights));
			if (parts) {
				Files.writeString(target.resolve("model.safetensors.index.json"),
						"{\"weight_map\":{\"lm_head.weight\":\"model-1.safetensors\"}}");
			}
			Files.writeString(target.resolve("tokenizer.json"), tokenizer());
		}
		Path corpus = Files.writeString(models.resolveSibling("corpus.txt"),
				"The quick brown fox jumps over the lazy dog. ".repeat(60));
		String train = "train --quiet --no-fusion --tokenizer byte --preset nano --batch 4 --block 64 --steps 1 --corpus "
				+ corpus + " --output " + models;
		calm(train + "/model --latent-size 8 --autoencoder-size 64 --autoencoder-steps 1");
		calm(train + "/baseline --baseline");
	}

	private static void calm(String line) {
		StringWriter err = new StringWriter();
		assertThat(CommandLines.run(new StringWriter(), err, line.split(" "))).as(err::toString).isZero();
	}

	/** One of the 97 ids that the reference's models have. */
	private static String tokenizer() {
		JsonObject vocabulary = new JsonObject();
		for (String token : List.of("<unk>", "<s>", "</s>")) {
			vocabulary.addProperty(token, vocabulary.size());
		}
		for (char letter = ' '; vocabulary.size() < 96; letter++) {
			vocabulary.addProperty(String.valueOf(letter), vocabulary.size());
		}
		vocabulary.addProperty("<pad>", 96);
		return "{\"model\":{\"type\":\"BPE\",\"unk_token\":\"<unk>\",\"merges\":[],\"vocab\":" + vocabulary + "}}";
	}

}

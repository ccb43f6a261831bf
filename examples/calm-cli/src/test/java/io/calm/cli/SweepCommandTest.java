package io.calm.cli;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import javax.imageio.ImageIO;

import com.google.gson.JsonObject;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static io.calm.cli.Invocation.calm;
import static org.assertj.core.api.Assertions.assertThat;

/** Sweeps of models that hardly train, from the file to the picture. */
class SweepCommandTest {

	private static final String WEIGHTS = "model.safetensors";

	private final Path directory;

	private final Path output;

	SweepCommandTest(@TempDir Path directory) throws IOException {
		this.directory = directory;
		this.output = directory.resolve("sweep");
		Files.writeString(directory.resolve("text.txt"), "red blue one two ".repeat(100));
		Files.writeString(directory.resolve("unseen.txt"), "one red two blue ".repeat(20));
	}

	/** A small baseline, and what differs. */
	private Path sweep(String rest) throws IOException {
		return Files.writeString(this.directory.resolve("sweep.yaml"), """
				output: %s
				run:
				  corpus: %s
				  evaluation-corpus: [%s]
				  tokenizer: byte
				  baseline: true
				  preset: nano
				  steps: 8
				  batch: 2
				  block: 16
				  warmup: 0
				  no-fusion: true
				""".formatted(this.output, this.directory.resolve("text.txt"), this.directory.resolve("unseen.txt"))
				+ rest);
	}

	private Path model(int trial) {
		return this.output.resolve("trials/trial-00" + trial + "/model");
	}

	@Test
	void aGridEndsInATableAndAPicture() throws IOException {
		Path file = sweep("parameters: {learning-rate: [0.0001, 0.01]}\n");
		JsonObject found = calm("sweep", file, "--quiet", "--json").json();
		assertThat(found.get("best").getAsString()).matches("trial-00[12]");
		List<String> rows = Files.readAllLines(this.output.resolve("results.csv"));
		assertThat(rows).hasSize(3);
		assertThat(rows.get(0)).startsWith("trial,learning-rate,BrierLM,standard error,Brier-1,");
		assertThat(rows).element(1).asString().contains(",8,");
		assertThat(this.output.resolve("report.md")).content()
			.startsWith("# Sweep over learning-rate\n\n2 trials, the best one first.")
			.contains("![parallel coordinates](parallel.png)", "| trial | learning-rate | BrierLM |");
		assertIsPicture(this.output.resolve("parallel.png"));
		assertThat(Files.mismatch(model(1).resolve(WEIGHTS), model(2).resolve(WEIGHTS))).isNotNegative();

		// what was trained can be trained again, without a sweep
		assertThat(model(2).resolve("run.yaml")).content().contains("learning-rate: 0.01", "steps: 8");
		Path again = this.directory.resolve("again");
		calm("train", model(2).resolve("run.yaml"), "--output", again, "--quiet", "--json").json();
		assertThat(again.resolve(WEIGHTS)).hasSameBinaryContentAs(model(2).resolve(WEIGHTS));

		Files.delete(this.output.resolve("report.md"));
		assertThat(calm("sweep", file, "--quiet", "--json").json()).isEqualTo(found);
		assertThat(this.output.resolve("report.md")).exists();
		Invocation other = calm("sweep", sweep("parameters: {learning-rate: [0.0001, 0.02]}\n"));
		assertThat(other.exit()).isEqualTo(2);
		assertThat(other.err()).contains("plan.json was begun with other settings", "give another output directory");
	}

	/**
	 * The winner is what it would have become without pauses, on whatever path it came.
	 */
	@Test
	void halvingGivesEqualOperationsAndGoesOnFromCheckpoints() throws IOException {
		Path file = sweep("""
				parameters:
				  batch: [2, 4]
				  learning-rate: {min: 0.0001, max: 0.01, log: true}
				method: random
				trials: 4
				seed: 3
				halving: {rungs: 3}
				parallel: 2
				""");
		calm("sweep", file, "--quiet", "--json").json();
		List<String[]> rows = Files.readAllLines(this.output.resolve("results.csv"))
			.stream()
			.skip(1)
			.map((row) -> row.split(","))
			.toList();
		// 8 steps of batches of 2 are 4 of batches of 4
		for (String[] row : rows) {
			int whole = 16 / Integer.parseInt(row[1]);
			assertThat(Integer.parseInt(row[10])).as("steps of %s", Arrays.toString(row))
				.isEqualTo(whole >> (3 - Integer.parseInt(row[9])));
		}
		assertThat(rows.stream().map((row) -> row[9])).containsExactly("3", "2", "1", "1");
		assertThat(rows.get(2)[11]).isEqualTo(rows.get(3)[11]);
		assertThat(4 * Double.parseDouble(rows.get(3)[11])).isEqualTo(Double.parseDouble(rows.get(0)[11]));
		int best = Integer.parseInt(rows.get(0)[0]);
		for (int trial = 1; trial <= 4; trial++) {
			assertThat(Files.exists(model(trial))).isEqualTo(trial == best);
		}
	}

	@Test
	void continuousModelsAreSweptToo() throws IOException {
		Path file = sweep("parameters: {samples: [2, 3]}\nparallel: 2\n");
		Files.writeString(file, Files.readString(file)
			.replace("baseline: true", "latent-size: 8\n  autoencoder-size: 16\n  autoencoder-steps: 2"));
		calm("sweep", file, "--quiet", "--json").json();
		assertThat(Files.readAllLines(this.output.resolve("results.csv"))).hasSize(3);
		try (Stream<Path> autoencoders = Files.list(this.output.resolve("autoencoders"))) {
			assertThat(autoencoders).as("both trials have the same").hasSize(1);
		}
		for (int trial = 1; trial <= 2; trial++) {
			assertThat(model(trial).resolve("run.yaml")).content().contains("samples: " + (trial + 1));
		}
		// as if it had trained the autoencoder itself
		Path again = this.directory.resolve("again");
		calm("train", model(2).resolve("run.yaml"), "--output", again, "--quiet", "--json").json();
		assertThat(again.resolve(WEIGHTS)).hasSameBinaryContentAs(model(2).resolve(WEIGHTS));
		assertThat(again.resolve("autoencoder").resolve(WEIGHTS))
			.hasSameBinaryContentAs(model(2).resolve("autoencoder").resolve(WEIGHTS));
	}

	@Test
	void aDivergingTrialStandsLast() throws IOException {
		calm("sweep", sweep("parameters: {learning-rate: [1e30, 0.001]}\n"), "--quiet", "--json").json();
		List<String> rows = Files.readAllLines(this.output.resolve("results.csv"));
		assertThat(rows.get(1)).startsWith("2,0.001,");
		assertThat(rows.get(2)).startsWith("1,1e30,,").contains("lower the learning rate");
	}

	@Test
	void aDryRunListsTrialsAndWritesNothing() throws IOException {
		Path file = sweep("parameters: {batch: [2, 4]}\nhalving: {minimum-steps: 2}\n");
		List<Path> before = files();
		JsonObject found = calm("sweep", file, "--dry-run", "--json").json();
		assertThat(files()).isEqualTo(before);
		assertThat(found.get("trials").getAsInt()).isEqualTo(2);
		assertThat(found.get("rungs").getAsInt()).isEqualTo(2);
		assertThat(found.get("rung 1").getAsString()).isEqualTo("2 trials, 1/2 of the steps");
		assertThat(found.getAsJsonObject("trial-002").get("batch").getAsString()).isEqualTo("4");
		assertThat(found.getAsJsonObject("trial-002").get("steps").getAsInt()).isEqualTo(4);
		assertThat(found.getAsJsonObject("trial-002").get("trainingOperations"))
			.isEqualTo(found.getAsJsonObject("trial-001").get("trainingOperations"));
		JsonObject steps = calm("sweep", sweep("parameters: {batch: [2, 4], steps: [3, 5]}\n"), "--dry-run", "--json")
			.json();
		assertThat(steps.getAsJsonObject("trial-004").get("steps").getAsInt()).isEqualTo(5);
	}

	private List<Path> files() throws IOException {
		try (Stream<Path> files = Files.walk(this.directory)) {
			return new ArrayList<>(files.sorted().toList());
		}
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', quoteCharacter = '`',
			textBlock = """
					parametres: {batch: [2, 4]}            | has the key "parametres", which is no key of a sweep; write "parameters"
					parameters: {lerning-rate: [2, 4]}     | parameters has the key "lerning-rate", which is no option; write "learning-rate"
					parameters: {batch: 2}                 | parameters, batch is one value, and nothing to vary
					parameters: {batch: []}                | parameters, batch: parameter batch has no values
					parameters: {batch: {min: 2, maxi: 4}} | parameters, batch has the key "maxi", which is no key of a parameter; write "max"
					parameters: {batch: {min: 2}}          | parameters, batch, max is missing; give a whole number
					parameters: {batch: {min: a, max: 4}}  | parameters, batch, min is "a"; give a whole number
					parameters: {decay: {min: 2, max: 4}}  | parameters, decay is no number, and cannot be drawn from a range
					parameters: {batch: {min: 2, max: 4}}  | parameter batch is a range, and a grid needs values
					parameters: {batch: [2, x]}            | trial-002 (batch x) has a value that does not fit
					parameters: {head: [flow, energy]}     | trial-001 (head flow): --head has no meaning with --baseline
					parameters: {output: [a, b]}           | parameters, output cannot be varied
					parameters: {patience: [1, 2]}         | parameters, patience cannot be varied
					parameters: {batch: [0, 2]}            | trial-001 (batch 0): training, batch is 0; choose at least 1
					parameters: [batch]                    | parameters are missing, or no list of options
					trials: 3                              | parameters are missing
					halving: {factors: 3}                  | halving has the key "factors", which is no key of halving; write "factor"
					halving: {rungs: 1}                    | halving, rungs is 1; choose a number from 2 to 20
					halving: {factor: 1}                   | halving, factor is 1; choose at least 2
					parallel: 0                            | --parallel is 0; choose at least 1
					equal: halves                          | has a value that does not fit (Invalid value for option '--equal'
					trials: [3]                            | trials is a list; give one value
					""")
	void whatIsWrongIsSaidInOneLine(String content, String message) throws IOException {
		boolean whole = content.startsWith("par") && !content.startsWith("parallel") || content.startsWith("trials: 3");
		Invocation result = calm("sweep", sweep(content + (whole ? "\n" : "\nparameters: {batch: [2, 4]}\n")));
		assertThat(result.exit()).as(result.err()).isEqualTo(2);
		assertThat(result.err().lines()).singleElement().asString().startsWith("calm: ").contains(message);
		assertThat(this.output).doesNotExist();
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', quoteCharacter = '`',
			textBlock = """
							steps: 8              | patience: 3             | run: patience is 3, and all trials of a sweep get the same
							steps: 8              | workers: 2              | run: workers is 2, and a trial is trained by one process
							steps: 8              | trace: t.json           | run: trace is given, and all trials would write the same file
							steps: 8              | stps: 3                 | run has the key "stps", which is no option; write "steps"
							steps: 8              | evaluate-every: 0       | run: evaluate-every is 0, and trials need a score
					evaluation-corpus     | json-field              | run: evaluation-corpus is missing
							tokenizer: byte       | seed: 1                 | trial-001 (batch 2): --tokenizer is missing
							""")
	void aRunThatCannotBeCompared(String replaced, String by, String message) throws IOException {
		Path file = sweep("parameters: {batch: [2, 4]}\n");
		String text = Files.readString(file);
		Files.writeString(file, by.equals("json-field") ? text.replaceAll("evaluation-corpus: .*", "seed: 1")
				: text.replace(replaced, by));
		Invocation result = calm("sweep", file);
		assertThat(result.exit()).as(result.err()).isEqualTo(2);
		assertThat(result.err().lines()).singleElement().asString().startsWith("calm: ").contains(message);
	}

	@Test
	void theFileOfARunMayBeNamed() throws IOException {
		Path file = sweep("");
		String text = Files.readString(file);
		Path run = Files.writeString(this.directory.resolve("run.yaml"),
				text.substring(text.indexOf("run:\n") + 5).replace("  ", "") + "output: elsewhere\npatience: 0\n");
		Files.writeString(file, "run: " + run + "\nparameters: {batch: {values: [2, 4]}}\n");
		JsonObject found = calm("sweep", file, "--dry-run", "--json", "--output", this.output).json();
		assertThat(found.get("trials").getAsInt()).isEqualTo(2);
		assertThat(calm("sweep", file).err()).contains("--output is missing");
		assertThat(calm("sweep").err()).contains("SWEEP is missing; name the file of a sweep");
		assertThat(calm("sweep", this.directory.resolve("none.yaml")).err()).contains("none.yaml cannot be read");
	}

	private static void assertIsPicture(Path file) throws IOException {
		BufferedImage picture = ImageIO.read(file.toFile());
		long colours = IntStream.range(0, picture.getWidth() * picture.getHeight())
			.map((i) -> picture.getRGB(i % picture.getWidth(), i / picture.getWidth()))
			.distinct()
			.count();
		assertThat(colours).isGreaterThan(10);
		assertThat(Files.size(file)).isLessThan(150_000);
	}

}

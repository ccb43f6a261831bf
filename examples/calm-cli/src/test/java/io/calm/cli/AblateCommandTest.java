package io.calm.cli;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;

import javax.imageio.ImageIO;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

/** Studies of models that hardly train, from the command to the picture. */
class AblateCommandTest {

	private static final String SMALL = " --quiet --json --no-fusion --states 8 --successors 2 --batch 4 --block 32"
			+ " --autoencoder-size 32 --latent-size 8 --positions 300";

	private final Path output;

	AblateCommandTest(@TempDir Path directory) {
		this.output = directory.resolve("study");
	}

	@Test
	void goesOnWhereItWasInterrupted() throws IOException {
		JsonObject first = run("ablate input --steps 3");
		assertThat(first.keySet()).contains("discrete", "continuous", "both", "bestPossible");
		List<String> rows = Files.readAllLines(this.output.resolve("results.csv"));
		assertThat(rows).hasSize(4);
		assertThat(rows.get(0)).startsWith("series,name,x,y,error,steps,seconds,training_flops");
		assertThat(Files.readString(this.output.resolve("report.md"))).contains("| discrete |", "![chart](chart.png)");
		assertIsPicture("chart.png");
		// one autoencoder for all, which differ in nothing else
		try (var autoencoders = Files.list(this.output.resolve("autoencoders"))) {
			assertThat(autoencoders).hasSize(1);
		}

		// as if it had been stopped in the middle of the last model
		Files.delete(this.output.resolve("results/both.json"));
		Files.delete(this.output.resolve("report.md"));
		byte[] finished = Files.readAllBytes(this.output.resolve("results/discrete.json"));
		assertThat(run("ablate input --steps 3")).isEqualTo(first);
		assertThat(Files.readAllBytes(this.output.resolve("results/discrete.json"))).isEqualTo(finished);
		assertThat(this.output.resolve("report.md")).exists();

		StringWriter err = new StringWriter();
		assertThat(execute("ablate input --steps 4", new StringWriter(), err)).isEqualTo(2);
		assertThat(err.toString()).contains("plan.json was begun with other settings")
			.contains("give another output directory");
	}

	@Test
	void equalOperationsAreNotEqualSteps() throws IOException {
		String study = Boolean.getBoolean("calm.long") ? "samples" : "head";
		run("ablate " + study + " --steps 20 --equal flops --positions 20");
		List<String[]> rows = Files.readAllLines(this.output.resolve("results.csv"))
			.stream()
			.skip(1)
			.map((row) -> row.split(","))
			.toList();
		// N = 2 / M = 100 and N = 16; an energy head and no head at all
		assertThat(Math.abs(20 - Double.parseDouble(rows.get(3)[5]))).isGreaterThan(5);
		assertThat(Double.parseDouble(rows.get(3)[7]) / Double.parseDouble(rows.get(0)[7])).isBetween(0.9, 1.1);
	}

	@Test
	void drawsAccuracyAgainstCollisions() throws IOException {
		run("ablate temperature --steps 3 --positions 20");
		List<String> rows = Files.readAllLines(this.output.resolve("results.csv"));
		// three numbers of candidates and the exact sampler at eight temperatures, the
		// baseline at nine
		assertThat(rows).hasSize(1 + 4 * 8 + 9);
		assertIsPicture("chart.png");
	}

	@Test
	void correlatesBrierLmWithCrossEntropy() throws IOException {
		run("ablate baseline --steps 2");
		assertThat(Files.readString(this.output.resolve("report.md"))).contains("Pearson correlation")
			.contains("over 2 checkpoints");
		assertIsPicture("chart.png");
		assertIsPicture("checkpoints.png");
	}

	@Test
	void trainsOnTextForSomeMinutes() throws IOException {
		Path corpus = text("corpus.txt", "The quick brown fox jumps over the lazy dog. ".repeat(40));
		Path unseen = text("unseen.txt", "A lazy dog sleeps under the quick brown fox. ".repeat(20));
		JsonObject found = run(
				"ablate input --minutes 0.05 --tokenizer byte --corpus " + corpus + " --evaluation-corpus " + unseen);
		assertThat(found.keySet()).contains("discrete", "continuous", "both").doesNotContain("bestPossible");
		assertThat(this.output.resolve("trial")).doesNotExist();
		// bytes, BOS and EOS
		assertThat(Files.readString(this.output.resolve("report.md")))
			.contains("1802 tokens of text, scored on 902 tokens of other text");
		assertThat(Files.readString(this.output.resolve("models/both/tokenizer.json"))).contains("\"merges\":[]");
	}

	@Test
	void textNeedsATokenizer() throws IOException {
		Path corpus = text("corpus.txt", "The quick brown fox jumps over the lazy dog.");
		StringWriter err = new StringWriter();
		assertThat(
				execute("ablate input --corpus " + corpus + " --evaluation-corpus " + corpus, new StringWriter(), err))
			.isEqualTo(2);
		assertThat(err.toString()).startsWith(
				"calm: --tokenizer is missing; name a tokenizer.json, bpe:4096 or byte," + " or leave --corpus out");
		assertThat(this.output).doesNotExist();
	}

	private Path text(String name, String text) throws IOException {
		return Files.writeString(this.output.resolveSibling(name), text);
	}

	private void assertIsPicture(String name) throws IOException {
		BufferedImage picture = ImageIO.read(this.output.resolve(name).toFile());
		long colours = IntStream.range(0, picture.getWidth() * picture.getHeight())
			.map((i) -> picture.getRGB(i % picture.getWidth(), i / picture.getWidth()))
			.distinct()
			.count();
		assertThat(colours).isGreaterThan(10);
		assertThat(Files.size(this.output.resolve(name))).isLessThan(150_000);
	}

	private JsonObject run(String command) {
		StringWriter out = new StringWriter();
		StringWriter err = new StringWriter();
		assertThat(execute(command, out, err)).as(err.toString()).isZero();
		return JsonParser.parseString(out.toString()).getAsJsonObject();
	}

	private int execute(String command, StringWriter out, StringWriter err) {
		// what comes later counts
		return CalmCommand.commandLine()
			.setOverwrittenOptionsAllowed(true)
			.setOut(new PrintWriter(out, true))
			.setErr(new PrintWriter(err, true))
			.execute((command.replaceFirst("ablate \\S+", "$0" + SMALL) + " --output " + this.output).split(" "));
	}

}

package io.calm.cli;

import java.awt.image.BufferedImage;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

import javax.imageio.ImageIO;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

/** The commands that look at text before a training: corpus and tokenize. */
class CorpusCommandTest {

	private final Path directory;

	private final StringWriter err = new StringWriter();

	CorpusCommandTest(@TempDir Path directory) {
		this.directory = directory;
	}

	@Test
	void tellsWhatIsInACorpus() throws IOException {
		Path text = write("a.jsonl", "{\"text\":\"abc\"}\n{\"text\":\"abc\"}\n{\"text\":\"abcdefghij\"}\n");
		Path picture = this.directory.resolve("lengths.png");
		JsonObject report = json("corpus", "--corpus", text.toString(), "--tokenizer", "byte", "--patch-size", "2",
				"--picture", picture.toString());
		assertThat(report.get("documents").getAsInt()).isEqualTo(3);
		assertThat(report.get("bytes").getAsLong()).isEqualTo(Files.size(text));
		assertThat(report.get("duplicates").getAsInt()).isEqualTo(1);
		assertThat(report.getAsJsonObject("documentCharacters"))
			.hasToString("{\"shortest\":3,\"median\":3,\"ninetyPercent\":3,\"longest\":10}");
		assertThat(report.get("tokens").getAsInt()).isEqualTo(5 + 5 + 12);
		assertThat(report.getAsJsonObject("documentTokens").get("longest").getAsInt()).isEqualTo(12);
		assertThat(report.get("padShare").getAsDouble()).isEqualTo(3.0 / 25);
		assertThat(report.getAsJsonObject("longestLines").get("1").getAsString())
			.isEqualTo("22 bytes: " + text + ", line 3");
		assertThat(report.get("faultCount").getAsInt()).isZero();
		BufferedImage drawn = ImageIO.read(picture.toFile());
		assertThat(drawn.getWidth()).isEqualTo(900);
		int blue = 0;
		for (int x = 0; x < drawn.getWidth(); x++) {
			for (int y = 0; y < drawn.getHeight(); y++) {
				blue += ((drawn.getRGB(x, y) & 0xFFFFFF) == 0x0072B2) ? 1 : 0;
			}
		}
		assertThat(blue).as("points of bars").isGreaterThan(10_000);
	}

	@Test
	void tellsWhatCannotBeReadAndLeavesTokensOut() throws IOException {
		Path text = Files.write(this.directory.resolve("a.txt"),
				"one\nGr\u00FC\u00DFe\n".getBytes(StandardCharsets.ISO_8859_1));
		JsonObject report = json("corpus", "--corpus", text.toString(), "--tokenizer", "byte");
		assertThat(report.get("faultCount").getAsInt()).isEqualTo(1);
		assertThat(report.getAsJsonObject("faults").get("1").getAsString()).isEqualTo(text + ", line 2 is not UTF-8");
		assertThat(report.has("tokens")).isFalse();
		assertThat(this.err.toString()).contains("tokens are counted when everything can be read");
	}

	@Test
	void anEmptyCorpusIsAReportToo() throws IOException {
		Path text = write("a.txt", "");
		JsonObject report = json("corpus", "--corpus", text.toString(), "--picture", this.directory + "/a.png");
		assertThat(report.get("documents").getAsInt()).isZero();
		assertThat(report.getAsJsonObject("faults").get("1").getAsString()).contains("no text");
		assertThat(this.directory.resolve("a.png")).doesNotExist();
	}

	@Test
	void refusesWhatItCannotUse() throws IOException {
		Path text = write("a.txt", "x");
		assertThat(run(new StringWriter(), "corpus", "--corpus", text.toString(), "--patch-size", "2")).isEqualTo(2);
		assertThat(this.err.toString()).contains("--patch-size has no meaning with a text without --tokenizer");
		assertThat(run(new StringWriter(), "tokenize", "--corpus", text.toString(), "--output",
				this.directory + "/tokens"))
			.isEqualTo(2);
		assertThat(this.err.toString()).contains("--tokenizer is missing");
	}

	@Test
	void tokensAreMadeOnce() throws IOException {
		Path text = write("a.jsonl", "{\"body\":\"lorem ipsum dolor sit amet\"}\n".repeat(20));
		String tokens = this.directory + "/tokens";
		List<String> how = List.of("--corpus", text.toString(), "--json-field", "body", "--tokenizer", "bpe:270");
		JsonObject made = json(args(how, "tokenize", "--output", tokens));
		assertThat(made.get("made").getAsBoolean()).isTrue();
		assertThat(made.get("documents").getAsInt()).isEqualTo(20);
		JsonObject kept = json(args(how, "tokenize", "--output", tokens));
		assertThat(kept.get("made").getAsBoolean()).isFalse();
		assertThat(kept.get("digest")).isEqualTo(made.get("digest"));
		// the tokens and the tokenizer
		assertThat(files(tokens)).hasSize(2);
	}

	private static String[] args(List<String> how, String... what) {
		return Stream.concat(Arrays.stream(what), how.stream()).toArray(String[]::new);
	}

	private static List<Path> files(String directory) throws IOException {
		try (Stream<Path> files = Files.list(Path.of(directory))) {
			return files.filter((file) -> file.toString().endsWith(".tokens")).toList();
		}
	}

	private JsonObject json(String... args) {
		StringWriter out = new StringWriter();
		assertThat(run(out, Stream.concat(Stream.of("--json"), Arrays.stream(args)).toArray(String[]::new)))
			.as(() -> this.err.toString())
			.isZero();
		return JsonParser.parseString(out.toString()).getAsJsonObject();
	}

	private int run(StringWriter out, String... args) {
		return CalmCommand.commandLine()
			.setOut(new PrintWriter(out, true))
			.setErr(new PrintWriter(this.err, true))
			.execute(args);
	}

	private Path write(String name, String content) throws IOException {
		return Files.writeString(this.directory.resolve(name), content);
	}

}

package io.calm.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

class EncodeCommandTest {

	private static Path model = Path.of("");

	private final StringWriter out = new StringWriter();

	private final StringWriter err = new StringWriter();

	@BeforeAll
	static void train(@TempDir Path directory) throws IOException {
		model = RunningServe.tinyModel(directory);
	}

	private int run(String... arguments) {
		return CalmCommand.commandLine()
			.setOut(new PrintWriter(this.out))
			.setErr(new PrintWriter(this.err))
			.execute(arguments);
	}

	@Test
	void theVectorsOfATextGoToAFile(@TempDir Path directory) throws IOException {
		Path vectors = directory.resolve("vectors.jsonl");
		assertThat(run("encode", model.toString(), "--text", "One fish.", "--output", vectors.toString(), "--json",
				"--no-fusion"))
			.as(this.err.toString())
			.isZero();
		JsonObject report = JsonParser.parseString(this.out.toString()).getAsJsonObject();
		assertThat(report.get("tokens").getAsInt()).isEqualTo(9);
		assertThat(report.get("patches").getAsInt()).isEqualTo(3);
		int wrong = report.getAsJsonObject("differences").get("count").getAsInt();
		assertThat(report.get("accuracy").getAsDouble()).isEqualTo(1 - wrong / 9.0);
		List<JsonObject> lines = Files.readAllLines(vectors)
			.stream()
			.map((line) -> JsonParser.parseString(line).getAsJsonObject())
			.toList();
		assertThat(lines).extracting((line) -> line.get("text").getAsString()).containsExactly("O", "ne f", "ish.");
		assertThat(lines).allMatch((line) -> line.getAsJsonArray("mean").size() == 8
				&& line.getAsJsonArray("deviation").size() == 8 && line.getAsJsonArray("tokens").size() == 4);

		assertThat(run("encode", model.toString(), "--text", "Two", "--output", vectors.toString(), "--no-fusion"))
			.isEqualTo(2);
		assertThat(this.err.toString()).contains("vectors.jsonl exists already; choose another file");
		assertThat(Files.readAllLines(vectors)).hasSize(3);
	}

	@Test
	void badTextsAreRefusedInOneLine(@TempDir Path directory) throws IOException {
		Path latin = Files.write(directory.resolve("latin"), new byte[] { 'a', (byte) 0xe9, 'b' });
		Path large = Files.write(directory.resolve("large"), new byte[1_000_001]);
		for (Path each : List.of(latin, large, directory.resolve("missing"))) {
			assertThat(run("encode", model.toString(), "--file", each.toString())).isEqualTo(2);
		}
		assertThat(run("encode", model.toString())).isEqualTo(2);
		assertThat(this.err.toString().lines()).satisfiesExactly(
				(line) -> assertThat(line).endsWith("latin is not UTF-8; convert it, such as with iconv"),
				(line) -> assertThat(line).contains("large is longer than 1000000 bytes; shorten it"),
				(line) -> assertThat(line).contains("missing cannot be read"),
				(line) -> assertThat(line).contains("--text", "--file"));
	}

}

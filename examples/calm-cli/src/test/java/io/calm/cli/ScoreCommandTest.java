package io.calm.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

class ScoreCommandTest {

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

	private JsonObject report() {
		return JsonParser.parseString(this.out.toString()).getAsJsonObject();
	}

	@Test
	void aTextPatchByPatch() {
		assertThat(run("score", model.toString(), "--prompt", "One", "--text", " fish. Two", "--json")).isZero();
		JsonObject patches = report().getAsJsonObject("patches");
		assertThat(patches.keySet()).containsExactly("1", "2", "3");
		assertThat(patches.getAsJsonObject("2").get("text").getAsString()).isEqualTo("'h. T'");
		double sum = patches.asMap()
			.values()
			.stream()
			.mapToDouble((patch) -> patch.getAsJsonObject().get("energy").getAsDouble())
			.sum();
		assertThat(report().get("energy").getAsDouble()).isEqualTo(sum / 3);
		assertThat(report().getAsJsonArray("brier")).hasSize(4);
	}

	@Test
	void severalTextsTheBestFirst() {
		assertThat(run("score", model.toString(), "--prompt", "One", "--text", "%&/(%&/(", "--text", " fish...",
				"--open", "--samples", "20", "--json"))
			.isZero();
		double last = Double.POSITIVE_INFINITY;
		assertThat(report().keySet()).containsExactlyInAnyOrder("1", "2");
		for (String each : report().keySet()) {
			double energy = report().getAsJsonObject(each).get("energy").getAsDouble();
			assertThat(energy).isLessThanOrEqualTo(last);
			last = energy;
		}
		assertThat(report().getAsJsonObject("1").get("text").getAsString()).isEqualTo("%&/(%&/(");
	}

	@Test
	void badInputIsRefusedInOneLine() {
		assertThat(run("score", model.toString(), "--text", "")).isEqualTo(2);
		assertThat(run("score", model.toString(), "--text", "One", "--samples", "1")).isEqualTo(2);
		assertThat(this.err.toString().lines()).containsExactly(
				"calm: text is 0 tokens long, where a patch has 4; give a longer one",
				"calm: samples is 1; choose from 2 to 1000");
	}

}

package io.calm.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Path;
import java.util.List;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.withinPercentage;

/**
 * The form of the figures; what they say is of the machine.
 */
class ServeBenchmarkTest {

	private final StringWriter out = new StringWriter();

	private final StringWriter err = new StringWriter();

	private int run(String... arguments) {
		return CalmCommand.commandLine()
			.setOut(new PrintWriter(this.out, true))
			.setErr(new PrintWriter(this.err, true))
			.execute(arguments);
	}

	@Test
	void serviceAndEngine(@TempDir Path directory) throws IOException {
		String model = RunningServe.tinyModel(directory).toString();
		assertThat(run("benchmark", "serve", model, "--json", "--clients", "4", "--slots", "2", "--seconds", "1",
				"--warm-up", "0", "--new-tokens", "16"))
			.as(this.err.toString())
			.isZero();
		JsonObject report = JsonParser.parseString(this.out.toString()).getAsJsonObject();
		assertThat(report.get("clients").getAsInt()).isEqualTo(4);
		for (String part : List.of("engine", "service", "engine_again")) {
			JsonObject figures = report.getAsJsonObject(part);
			assertThat(figures.get("texts").getAsInt()).as(part).isPositive();
			assertThat(figures.get("tokens_per_s").getAsDouble()).as(part).isPositive();
			assertThat(figures.get("first_piece_p95_ms").getAsDouble()).as(part)
				.isGreaterThanOrEqualTo(figures.get("first_piece_p50_ms").getAsDouble());
		}
		double mean = (report.getAsJsonObject("engine").get("tokens_per_s").getAsDouble()
				+ report.getAsJsonObject("engine_again").get("tokens_per_s").getAsDouble()) / 2;
		assertThat(report.get("speed_of_engine").getAsDouble() * mean)
			.isCloseTo(report.getAsJsonObject("service").get("tokens_per_s").getAsDouble(), withinPercentage(0.01));
	}

	@Test
	void badInput() {
		assertThat(run("benchmark", "serve", "nowhere", "--clients", "0")).isEqualTo(2);
		assertThat(this.err.toString()).isEqualTo("calm: --clients is 0; choose at least 1\n");
		assertThat(run("benchmark", "serve", "nowhere", "--warm-up", "-1")).isEqualTo(2);
		assertThat(this.err.toString()).endsWith("calm: --warm-up is -1; choose at least 0\n");
		assertThat(run("benchmark", "serve", "nowhere")).isEqualTo(2);
		assertThat(this.err.toString()).contains("calm: nowhere does not exist; give the directory of a model");
	}

}

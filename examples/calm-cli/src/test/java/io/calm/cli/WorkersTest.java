package io.calm.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static io.calm.cli.Invocation.calm;
import static org.assertj.core.api.Assertions.assertThat;

/** {@code calm train --workers}: a process for each. */
class WorkersTest {

	private final Path directory;

	WorkersTest(@TempDir Path directory) {
		this.directory = directory;
	}

	private Process train(String... options) throws IOException {
		Files.writeString(this.directory.resolve("text.txt"), "red blue one two ".repeat(200));
		List<String> command = new ArrayList<>(
				List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx256m",
						"-XX:TieredStopAtLevel=1", "-cp",
						System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
						"io.calm.cli.CalmCommand", "train", "--corpus", "text.txt", "--tokenizer", "byte", "--baseline",
						"--preset", "nano", "--block", "16", "--no-fusion", "--workers", "2"));
		command.addAll(Arrays.asList(options));
		ProcessBuilder builder = new ProcessBuilder(command).directory(this.directory.toFile())
			.redirectErrorStream(true);
		builder.environment().remove("TF_CONFIG");
		return builder.start();
	}

	@Test
	void twoTrainOneModelAndEndTogether() throws Exception {
		Process endless = train("--output", "model", "--steps", "1000000", "--checkpoint-every", "2");
		List<ProcessHandle> workers;
		try (BufferedReader output = endless.inputReader(StandardCharsets.UTF_8)) {
			StringBuilder all = new StringBuilder();
			while (!Files.exists(this.directory.resolve("model.training/baseline/model.safetensors"))) {
				String line = output.readLine();
				assertThat(line).as("the next line after\n" + all).isNotNull();
				all.append(line).append('\n');
			}
			workers = endless.descendants().toList();
			assertThat(workers).hasSize(2);
			// as Ctrl-C does
			endless.destroy();
			assertThat(endless.waitFor(30, TimeUnit.SECONDS)).isTrue();
		}
		for (ProcessHandle worker : workers) {
			CompletableFuture<ProcessHandle> end = worker.onExit();
			assertThat(end.get(30, TimeUnit.SECONDS).isAlive()).isFalse();
		}

		Process training = train("--steps", "3", "--seed", "2", "--output", "other", "--json");
		String output = new String(training.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
		assertThat(training.waitFor()).as(output).isZero();
		assertThat(output.lines().filter((line) -> line.contains("\"output\":"))).as("only one reports").hasSize(1);
		assertThat(output).contains("[worker 1] ");
		assertThat(this.directory.resolve("other/run.yaml")).content().contains("workers: 2");
		assertThat(this.directory.resolve("other/model.safetensors")).isRegularFile();
	}

	@ParameterizedTest
	@CsvSource(textBlock = """
			, 0, 0
			, 3, 3
			'4, 6', 0, 4
			'4, 6', 1, 6
			'4, 6', 2, ''
			'', 0, ''
			GPU-5f, 0, GPU-5f
			""")
	void eachHasAGpuToItself(@Nullable String visible, int worker, String gpu) {
		assertThat(LocalWorkers.gpu(visible, worker)).isEqualTo(gpu);
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
			--workers=0                | --workers is 0; choose at least 1
			--join-timeout=0           | --join-timeout is 0; choose at least 1 second
			--reduction-precision=auto | Invalid value for option '--reduction-precision': expected one of [FP32, BF16]
			""")
	void refusesWhatMakesNoSense(String option, String message) {
		Invocation refused = calm("train", "--corpus", "text.txt", "--output", this.directory.resolve("model"), option);
		assertThat(refused.exit()).isEqualTo(2);
		assertThat(refused.err().lines()).singleElement().asString().startsWith("calm: " + message);
	}

}

package io.calm.cli;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.Calm;
import io.calm.graph.ProgramOptions;
import io.calm.text.ByteTokenizer;

import org.springframework.util.FileSystemUtils;

/**
 * {@code calm serve} as a process of its own, as users start it.
 */
final class RunningServe implements AutoCloseable {

	/** Of the service, where it has one. */
	static final String KEY = "a-key-for-the-tests-only";

	private final Process process;

	private final JsonObject report;

	private RunningServe(Process process, JsonObject report) {
		this.process = process;
		this.report = report;
	}

	/** On any free port, unless the options name one. */
	static RunningServe start(Path model, Path output, boolean withKey, String... options) {
		return start(List.of("-Xmx512m"), model, output, withKey, options);
	}

	/** In a virtual machine with options of its own. */
	static RunningServe start(List<String> machine, Path model, Path output, boolean withKey, String... options) {
		return start(machine, withKey ? Map.of("CALM_API_KEY", KEY) : Map.of(), model, output, options);
	}

	/** With variables of its own. */
	static RunningServe start(Map<String, String> environment, Path model, Path output, String... options) {
		return start(List.of("-Xmx512m"), environment, model, output, options);
	}

	private static RunningServe start(List<String> machine, Map<String, String> environment, Path model, Path output,
			String... options) {
		List<String> command = new ArrayList<>();
		command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
		command.addAll(machine);
		if (Runtime.version().feature() >= 24) {
			// from there on the JVM has warnings of its own, on the same stream
			command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"));
		}
		command.addAll(List.of("-XX:TieredStopAtLevel=1", "-cp",
				System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
				"io.calm.cli.CalmCommand", "serve", model.toString(), "--json", "--quiet"));
		command.addAll(Arrays.asList(options));
		if (!command.contains("--port")) {
			command.addAll(List.of("--port", "0"));
		}
		ProcessBuilder builder = new ProcessBuilder(command).redirectError(output.resolve("serve.log").toFile());
		builder.environment().remove("CALM_API_KEY");
		builder.environment().putAll(environment);
		try {
			Process process = builder.start();
			String line = new BufferedReader(new InputStreamReader(process.getInputStream(), StandardCharsets.UTF_8))
				.readLine();
			if (line == null) {
				throw new IllegalStateException(
						"calm serve does not start: " + Files.readString(output.resolve("serve.log")));
			}
			return new RunningServe(process, JsonParser.parseString(line).getAsJsonObject());
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	/**
	 * A real model of the smallest sizes, trained for two steps: what it says is noise.
	 * Trained once for all tests of a JVM, each of which gets a copy. No token leads:
	 * drawn from noise, one would soon be EOS, and no text long enough to stop it.
	 */
	static Path tinyModel(Path parent) throws IOException {
		Path copy = parent.resolve("tiny");
		FileSystemUtils.copyRecursively(Tiny.MODEL, copy);
		return copy;
	}

	String url() {
		return this.report.get("url").getAsString();
	}

	String api() {
		return this.report.get("api").getAsString();
	}

	long pid() {
		return this.process.pid();
	}

	String model() {
		return this.report.get("model").getAsString();
	}

	@Override
	public void close() {
		this.process.destroy();
		this.process.onExit().join();
	}

	private static final class Tiny {

		static final Path MODEL = train();

		private static Path train() {
			try {
				Path parent = Files.createTempDirectory("calm-tiny-");
				Runtime.getRuntime()
					.addShutdownHook(new Thread(() -> FileSystemUtils.deleteRecursively(parent.toFile())));
				Path corpus = Files.writeString(parent.resolve("corpus.txt"),
						"One fish. Two fish. Red fish. Blue fish.\n".repeat(50));
				Path output = parent.resolve("tiny");
				Calm.train((training) -> training.corpus(corpus)
					.tokenizer(new ByteTokenizer())
					.autoencoder((shape) -> shape.patchSize(4).hiddenSize(16).latentSize(8).layers(2),
							(options) -> options.steps(2).batch(2).patches(8))
					.languageModel("nano",
							(shape) -> shape.hiddenSize(32).layers(1).heads(2).noiseSize(8).targets(4).leadTokens(0),
							(options) -> options.steps(2).batch(2).patches(8))
					// without fusion, whose compilation takes longer than all the rest
					.program(ProgramOptions.DEFAULT)
					.output(output)).close();
				return output;
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
		}

	}

}

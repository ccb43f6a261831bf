package io.calm.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.opentest4j.TestAbortedException;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

/**
 * {@code calm serve} as others use it: with the official Python client, which pip
 * installs into the user's cache directory, and with curl. Where there is neither, the
 * test is skipped.
 */
class ServeClientsTest {

	private static final String VERSION = "3.57.0";

	private static RunningServe serve;

	private static Path model = Path.of("");

	@BeforeAll
	static void start(@TempDir Path directory) throws IOException {
		model = RunningServe.tinyModel(directory);
		serve = RunningServe.start(model, directory, true, "--slots", "1", "--context", "2048");
	}

	@AfterAll
	static void stop() {
		if (serve != null) {
			serve.close();
		}
	}

	@Test
	void officialPythonClient(@TempDir Path directory) throws Exception {
		Path script = directory.resolve("openai_client.py");
		try (InputStream source = Objects.requireNonNull(getClass().getResourceAsStream("openai_client.py"))) {
			Files.copy(source, script);
		}
		Result result = run(
				Map.of("BASE_URL", serve.api(), "API_KEY", RunningServe.KEY, "MODEL", serve.model(), "NO_PROXY", "*"),
				List.of(installed().resolve("bin/python").toString(), script.toString()));
		assertThat(result.output()).contains("Ran 13 tests", "OK");
		assertThat(result.exitCode()).isZero();
	}

	/** One line, though there are a model, a framework and a server to complain. */
	@Test
	void aPortThatIsInUse(@TempDir Path directory) {
		String port = serve.url().replaceFirst(".*:(\\d+)/", "$1");
		assertThatIllegalStateException()
			.isThrownBy(() -> RunningServe.start(model, directory, false, "--port", port).close())
			.withMessage("calm serve does not start: calm: --port is " + port + ", which is in use; choose another\n");
	}

	@Test
	void curl() throws Exception {
		Result whole = curl("-H", "Authorization: Bearer " + RunningServe.KEY, "-d",
				"{\"prompt\": \"One fish.\", \"max_tokens\": 8}");
		JsonObject answer = JsonParser.parseString(whole.output()).getAsJsonObject();
		assertThat(answer.getAsJsonObject("usage").get("total_tokens").getAsInt()).isEqualTo(17);

		Result streamed = curl("-N", "-H", "Authorization: Bearer " + RunningServe.KEY, "-d",
				"{\"prompt\": \"One fish.\", \"max_tokens\": 8, \"stream\": true}");
		assertThat(streamed.output().lines().filter((line) -> !line.isEmpty()))
			.allMatch((line) -> line.startsWith("data: "))
			.last()
			.isEqualTo("data: [DONE]");

		assertThat(curl("-d", "{\"prompt\": \"One fish.\"}").output()).contains("invalid_api_key");
	}

	private static Result curl(String... arguments) throws Exception {
		List<String> command = new ArrayList<>(List.of("curl", "--silent", "--noproxy", "*",
				serve.api() + "/completions", "-H", "Content-Type: application/json"));
		command.addAll(List.of(arguments));
		try {
			return run(Map.of(), command);
		}
		catch (IOException ex) {
			return Assumptions.abort("There is no curl: " + ex.getMessage());
		}
	}

	/** The virtual environment; made by the first who asks, while others wait. */
	private static Path installed() throws IOException, InterruptedException {
		String cache = System.getenv("XDG_CACHE_HOME");
		Path caches = (cache != null && !cache.isBlank()) ? Path.of(cache)
				: Path.of(System.getProperty("user.home"), ".cache");
		Path home = caches.resolve("calm").resolve("openai-" + VERSION);
		Path complete = home.resolve(".complete");
		Files.createDirectories(home);
		try (FileChannel channel = FileChannel.open(home.resolveSibling(home.getFileName() + ".lock"),
				StandardOpenOption.CREATE, StandardOpenOption.WRITE); FileLock lock = channel.lock()) {
			if (!Files.exists(complete)) {
				install("python3", "-m", "venv", home.toString());
				install(home.resolve("bin/pip").toString(), "install", "--quiet", "openai==" + VERSION);
				Files.createFile(complete);
			}
		}
		return home;
	}

	private static void install(String... command) throws InterruptedException {
		try {
			Result result = run(Map.of(), List.of(command));
			if (result.exitCode() == 0) {
				return;
			}
			throw new TestAbortedException(
					"no Python client: " + String.join(" ", command) + " says " + result.output());
		}
		catch (IOException ex) {
			throw new TestAbortedException("no Python client: Python 3 is needed (" + ex.getMessage() + ")", ex);
		}
	}

	private record Result(int exitCode, String output) {
	}

	private static Result run(Map<String, String> environment, List<String> command)
			throws IOException, InterruptedException {
		ProcessBuilder builder = new ProcessBuilder(command).redirectErrorStream(true);
		builder.environment().putAll(environment);
		Process process = builder.start();
		String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
		return new Result(process.waitFor(), output);
	}

}

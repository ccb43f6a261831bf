package io.calm.cli;

import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.mlflow.PythonEnvironment;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

/**
 * {@code calm serve} as others use it: with the official Python client and with lm-eval,
 * which pip installs into the user's cache directory, and with curl. What is missing is
 * skipped.
 */
class ServeClientsTest {

	private static final String OPENAI = "openai==3.57.0";

	/** Without PyTorch. */
	private static final String LM_EVAL = "lm-eval[api]==0.4.13";

	/**
	 * As the page about the service has it, but for the name and the place of the data.
	 */
	private static final String TASK = """
			task: fish
			dataset_path: json
			dataset_kwargs:
			  data_files:
			    test: %s
			test_split: test
			output_type: generate_until
			doc_to_text: "{{question}}"
			doc_to_target: "{{answer}}"
			generation_kwargs:
			  until: ["."]
			  max_gen_toks: 12
			  temperature: 0.7
			  do_sample: true
			metric_list:
			  - metric: exact_match
			""";

	/** What lm-eval sends unless it is told otherwise. */
	private static final int SEED = 1234;

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
				List.of(PythonEnvironment.of("openai-3.57.0", OPENAI).resolve("bin/python").toString(),
						script.toString()));
		assertThat(result.output()).contains("Ran 13 tests", "OK");
		assertThat(result.exitCode()).isZero();
	}

	@Test
	@EnabledIfSystemProperty(named = "calm.long", matches = "true", disabledReason = "installs 760 MB, once")
	void lmEvalOfCompletions(@TempDir Path directory) throws Exception {
		assertEvaluated(directory, "/completions", List.of("--model", "local-completions", "--model_args",
				"base_url=" + serve.api() + "/completions,model=" + serve.model() + ",tokenizer_backend=None"));
	}

	@Test
	@EnabledIfSystemProperty(named = "calm.long", matches = "true", disabledReason = "installs 760 MB, once")
	void lmEvalOfChats(@TempDir Path directory) throws Exception {
		assertEvaluated(directory, "/chat/completions",
				List.of("--model", "local-chat-completions", "--apply_chat_template", "--model_args",
						"base_url=" + serve.api() + "/chat/completions,model=" + serve.model() + ",num_concurrent=8"));
	}

	/**
	 * Nine of the twelve right answers are what the service says, and three are what it
	 * never says.
	 */
	private static void assertEvaluated(Path directory, String path, List<String> model) throws Exception {
		Map<String, String> said = new LinkedHashMap<>();
		StringBuilder data = new StringBuilder();
		for (int i = 0; i < 12; i++) {
			String question = i + " fish. Two";
			said.put(question, answer(path, question));
			JsonObject sample = new JsonObject();
			sample.addProperty("question", question);
			sample.addProperty("answer", (i < 9) ? said.get(question) : "never said.");
			data.append(sample).append('\n');
		}
		Path samples = Files.writeString(directory.resolve("fish.jsonl"), data);
		Files.writeString(directory.resolve("fish.yaml"), TASK.formatted(samples));
		Path output = directory.resolve("output");
		List<String> command = new ArrayList<>(List.of(
				PythonEnvironment.of("lm-eval-0.4.13", LM_EVAL).resolve("bin/lm_eval").toString(), "--include_path",
				directory.toString(), "--tasks", "fish", "--output_path", output.toString(), "--log_samples"));
		command.addAll(model);
		Result result = run(Map.of("OPENAI_API_KEY", RunningServe.KEY, "NO_PROXY", "*", "HF_HUB_OFFLINE", "1",
				"HF_HOME", directory.resolve("cache").toString()), command);
		assertThat(result.exitCode()).as(result.output()).isZero();

		JsonObject results = JsonParser.parseString(Files.readString(written(output, "results_")))
			.getAsJsonObject()
			.getAsJsonObject("results")
			.getAsJsonObject("fish");
		assertThat(results.get("sample_len").getAsInt()).isEqualTo(12);
		assertThat(results.get("exact_match,none").getAsDouble()).isEqualTo(0.75);
		Map<String, String> answered = new HashMap<>();
		for (String line : Files.readAllLines(written(output, "samples_"))) {
			JsonObject sample = JsonParser.parseString(line).getAsJsonObject();
			answered.put(sample.getAsJsonObject("doc").get("question").getAsString(),
					sample.getAsJsonArray("filtered_resps").get(0).getAsString());
		}
		assertThat(answered).isEqualTo(said);
	}

	/** Asked for as lm-eval asks. */
	private static String answer(String path, String question) throws Exception {
		JsonObject order = new JsonObject();
		order.addProperty("max_tokens", 12);
		order.addProperty("temperature", 0.7);
		order.addProperty("stop", ".");
		order.addProperty("seed", SEED);
		if (path.startsWith("/chat")) {
			JsonObject message = new JsonObject();
			message.addProperty("role", "user");
			message.addProperty("content", question);
			JsonArray messages = new JsonArray();
			messages.add(message);
			order.add("messages", messages);
		}
		else {
			order.addProperty("prompt", question);
		}
		HttpRequest request = HttpRequest.newBuilder(URI.create(serve.api() + path))
			.header("Authorization", "Bearer " + RunningServe.KEY)
			.header("Content-Type", "application/json")
			.POST(HttpRequest.BodyPublishers.ofString(order.toString()))
			.build();
		HttpResponse<String> response = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString());
		assertThat(response.statusCode()).as(response.body()).isEqualTo(200);
		JsonObject choice = JsonParser.parseString(response.body())
			.getAsJsonObject()
			.getAsJsonArray("choices")
			.get(0)
			.getAsJsonObject();
		return (path.startsWith("/chat") ? choice.getAsJsonObject("message").get("content") : choice.get("text"))
			.getAsString();
	}

	private static Path written(Path output, String beginning) throws IOException {
		try (Stream<Path> files = Files.walk(output)) {
			return files.filter((file) -> file.getFileName().toString().startsWith(beginning))
				.findFirst()
				.orElseThrow();
		}
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

package io.calm.mlflow;

import java.io.File;
import java.io.IOException;
import java.net.ServerSocket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import java.util.stream.LongStream;
import java.util.stream.Stream;

import com.google.gson.Gson;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.Calm;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.export.SavedModelExport;
import io.calm.generation.EngineNoise;
import io.calm.generation.GenerationEngine;
import io.calm.graph.Device;
import io.calm.graph.Precision;
import io.calm.graph.ProgramOptions;
import io.calm.model.CalmConfig;
import io.calm.model.ModelConfigs;
import io.calm.text.ByteTokenizer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Models of this library in Python: TensorFlow from PyPI, and MLflow with a real server.
 */
@ExtendWith(MlflowServer.class)
class PythonFlavorsTest {

	private static final ProgramOptions PROGRAM = new ProgramOptions(Device.CPU, Precision.FP32, false);

	private static final int K = 4;

	private static Path directory;

	private static Path python;

	private static Path calm;

	private static Path baseline;

	private final MlflowRegistry registry;

	private final URI server;

	private final String name = "model-" + UUID.randomUUID();

	PythonFlavorsTest(URI server) {
		this.server = server;
		this.registry = MlflowRegistry.of(MlflowConnection.to(server.toString()), directory.resolve("cache"));
	}

	@BeforeAll
	static void train(@TempDir Path temporary) throws IOException, InterruptedException {
		directory = temporary;
		python = PythonEnvironment.withTensorFlow();
		Path corpus = Files.writeString(directory.resolve("corpus.txt"),
				"One fish. Two fish. Red fish. Blue fish.\n".repeat(50));
		calm = directory.resolve("calm");
		Calm.train((training) -> training.corpus(corpus)
			.tokenizer(new ByteTokenizer())
			.autoencoder((shape) -> shape.patchSize(K).hiddenSize(16).latentSize(8).layers(2),
					(options) -> options.steps(200).batch(2).patches(8))
			.languageModel("nano", (shape) -> shape.hiddenSize(32).layers(2).heads(2).noiseSize(8).targets(4),
					(options) -> options.steps(100).batch(2).patches(8))
			.program(PROGRAM)
			.output(calm)).close();
		baseline = directory.resolve("baseline");
		Calm.train((training) -> training.corpus(corpus)
			.tokenizer(new ByteTokenizer())
			.baseline("nano", (shape) -> shape.hiddenSize(32).layers(2).heads(2),
					(options) -> options.steps(100).batch(2).patches(32))
			.program(PROGRAM)
			.output(baseline)).close();
	}

	@Test
	void tensorFlowInPythonDrawsWhatTheEngineDraws() throws IOException, InterruptedException {
		Path cases = Files.writeString(directory.resolve("calm.json"), new Gson().toJson(calmCases()));
		Path whole = directory.resolve("calm.saved");
		SavedModelExport.write(calm, whole);
		assertThat(script("check_saved_model.py", whole.toString(), cases.toString(), "v1")).contains("cases 12");
		// moved and renamed together with the weights
		Path copy = directory.resolve("copy of a model");
		ModelDirectory.open(calm).copyTo(copy);
		SavedModelExport.writeBesideWeights(calm, copy.resolve("renamed"));
		assertThat(copy.resolve("renamed")).isDirectoryNotContaining("glob:**variables**");
		assertThat(script("check_saved_model.py", copy.resolve("renamed").toString(), cases.toString()))
			.contains("cases 12");
	}

	/**
	 * A prompt of one patch and one of three, alone and three side by side, each
	 * continued by three patches.
	 */
	private static List<Map<String, Object>> calmCases() {
		List<Map<String, Object>> cases = new ArrayList<>();
		try (GenerationEngine engine = GenerationEngine.open(calm, (options) -> options.program(PROGRAM))) {
			CalmConfig config = config();
			for (String prompt : List.of("One", "Two fish. R")) {
				List<int[]> texts = LongStream.rangeClosed(1, 3)
					.mapToObj((seed) -> text(engine, prompt, seed, 3))
					.toList();
				for (int end = prompt.length() + 1; end < texts.get(0).length; end += K) {
					int length = end;
					List<Map<String, Object>> rows = IntStream.range(0, 3)
						.mapToObj((row) -> Map.<String, Object>of("tokens", Arrays.copyOf(texts.get(row), length),
								"noise", List.of(EngineNoise.after(config, row + 1, length / K - 1)), "next",
								Arrays.copyOfRange(texts.get(row), length, length + K)))
						.toList();
					cases.add(batch(rows));
					cases.add(batch(rows.subList(1, 2)));
				}
			}
		}
		return cases;
	}

	private static Map<String, Object> batch(List<Map<String, Object>> rows) {
		return Map.of("tokens", rows.stream().map((row) -> row.get("tokens")).toList(), "noise",
				rows.stream().map((row) -> row.get("noise")).toList(), "next",
				rows.stream().map((row) -> row.get("next")).toList());
	}

	private static CalmConfig config() {
		ModelDirectory model = ModelDirectory.open(calm);
		try (TensorFile weights = model.weights()) {
			return ModelConfigs.calm(model, weights);
		}
	}

	/** BOS, the prompt, and so many patches of the engine. */
	private static int[] text(GenerationEngine engine, String prompt, long seed, int patches) {
		int[] added = engine.generate(prompt, (request) -> request.seed(seed).maxNewTokens(patches * K))
			.stream()
			.flatMapToInt((chunk) -> IntStream.of(chunk.tokens()))
			.toArray();
		assertThat(added).hasSize(patches * K);
		int[] begun = new ByteTokenizer().encode(prompt);
		return IntStream.concat(IntStream.of(1), IntStream.concat(IntStream.of(begun), IntStream.of(added))).toArray();
	}

	/** Those of docs/export.md and docs/mlflow.md. */
	@Test
	void scriptsOfThePagesRun() throws IOException, InterruptedException {
		SavedModelExport.write(calm, directory.resolve("saved-model"));
		assertThat(script("page_saved_model.py").lines().filter((line) -> line.matches("[\\[ ]*\\[(\\s*\\d+){4}\\]+")))
			.hasSize(5);
		this.registry.register("stories", calm, (version) -> version.alias("champion"));
		assertThat(script("page_mlflow.py").lines().reduce((first, last) -> last).orElseThrow()).startsWith("[")
			.endsWith("]");
	}

	@Test
	void loaderChoosesAsTheSamplersDo() throws IOException, InterruptedException {
		Path loader = Files.createDirectories(directory.resolve("loader"));
		Files.write(loader.resolve("calm_text.py"),
				PythonFlavors.class.getResourceAsStream("calm_text.py").readAllBytes());
		assertThat(script("check_loader.py", loader.toString())).contains("OK");
	}

	@Test
	void mlflowOpensAVersionAndServesIt() throws IOException, InterruptedException {
		this.registry.register(this.name, baseline, (version) -> version.alias("champion"));
		List<String> prompts = List.of("One f", "Red fish. ", "");
		List<String> cold = coldTexts(prompts);
		JsonObject report = report("models:/" + this.name + "@champion", prompts);
		assertThat(report.getAsJsonObject("texts").getAsJsonArray("cold")).extracting((text) -> text.getAsString())
			.isEqualTo(cold);
		checkSeeds(report);
		assertThat(report.get("signatures").toString()).isEqualTo("[\"next_tokens\"]");

		try (ServerSocket socket = new ServerSocket(0)) {
			int port = socket.getLocalPort();
			socket.close();
			Path log = directory.resolve("serve.log");
			ProcessBuilder serve = process(List.of("-m", "mlflow", "models", "serve", "-m",
					"models:/" + this.name + "@champion", "--env-manager", "local", "--port", String.valueOf(port)))
				.redirectErrorStream(true)
				.redirectOutput(log.toFile());
			Process process = serve.start();
			try {
				await(port, process, log);
				HttpResponse<String> answer = post(port,
						Map.of("dataframe_split",
								Map.of("columns", List.of("prompt"), "data",
										prompts.stream().map((prompt) -> List.of(prompt)).toList()),
								"params", Map.of("temperature", 0.0)));
				assertThat(answer.statusCode()).as(answer.body()).isEqualTo(200);
				assertThat(JsonParser.parseString(answer.body()).getAsJsonObject().getAsJsonArray("predictions"))
					.extracting((text) -> text.getAsString())
					.isEqualTo(cold);
				HttpResponse<String> refused = post(port,
						Map.of("inputs", Map.of("prompt", List.of("One")), "params", Map.of("temperature", 3.0)));
				assertThat(refused.body()).contains("temperature: is 3.0; choose a number above 0 and up to 2");
			}
			finally {
				Stream.concat(process.descendants(), Stream.of(process.toHandle()))
					.forEach(ProcessHandle::destroyForcibly);
			}
		}
	}

	private static List<String> coldTexts(List<String> prompts) {
		try (GenerationEngine engine = GenerationEngine.open(baseline, (options) -> options.program(PROGRAM))) {
			return prompts.stream()
				.map((prompt) -> engine.generate(prompt, (request) -> request.temperature(0)).text())
				.toList();
		}
	}

	@Test
	void versionsHaveTheWeightsOnceAndGoBackToTheJvm() throws IOException, InterruptedException {
		MlflowRegistry.Version version = this.registry.register(this.name, calm, (options) -> {
		});
		JsonObject report = report(version.uri(), List.of("One f", "Red fish. "));
		checkSeeds(report);
		assertThat(report.getAsJsonObject("texts").get("cold").toString())
			.contains("temperature: is 0.0; choose a number above 0 and up to 1");
		assertThat(report.get("signatures").toString())
			.isEqualTo("[\"decode\",\"encode\",\"next_patches\",\"next_patches_seeded\"]");

		Path loaded = this.registry.load(version.uri());
		assertThat(loaded.resolve("MLmodel")).isRegularFile();
		try (Stream<Path> files = Files.walk(loaded.resolve("saved_model"))) {
			assertThat(files.filter(Files::isRegularFile))
				.containsExactly(loaded.resolve("saved_model/saved_model.pb"));
		}
		try (GenerationEngine first = GenerationEngine.open(calm, (options) -> options.program(PROGRAM));
				GenerationEngine second = GenerationEngine.open(loaded, (options) -> options.program(PROGRAM))) {
			assertThat(second.generate("One", (request) -> request.seed(1)).text())
				.isEqualTo(first.generate("One", (request) -> request.seed(1)).text());
		}
	}

	private static void checkSeeds(JsonObject report) {
		JsonObject texts = report.getAsJsonObject("texts");
		assertThat(texts.get("again")).isEqualTo(texts.get("one"));
		assertThat(texts.get("two")).isNotEqualTo(texts.get("one"));
		assertThat(texts.getAsJsonArray("half")).hasSameSizeAs(texts.getAsJsonArray("one"));
		assertThat(report.getAsJsonArray("default")).hasSize(1);
		assertThat(report.get("inputs").toString()).contains("\"prompt\"").contains("\"string\"");
		assertThat(report.get("params").toString())
			.isEqualTo("[\"temperature\",\"seed\",\"max_tokens\",\"candidates\"]");
		assertThat(report.get("example").toString()).isEqualTo("{\"prompt\":[\"Once upon a time\"]}");
	}

	private JsonObject report(String uri, List<String> prompts) throws IOException, InterruptedException {
		String output = script("check_load_model.py", uri, new Gson().toJson(prompts));
		return JsonParser
			.parseString(
					output.lines().filter((line) -> line.startsWith("REPORT ")).findFirst().orElseThrow().substring(7))
			.getAsJsonObject();
	}

	private static void await(int port, Process process, Path log) throws IOException, InterruptedException {
		long deadline = System.nanoTime() + TimeUnit.MINUTES.toNanos(10);
		while (true) {
			try {
				HttpClient.newHttpClient()
					.send(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/ping")).build(),
							HttpResponse.BodyHandlers.discarding());
				return;
			}
			catch (IOException ex) {
				assertThat(process.isAlive() && System.nanoTime() < deadline).as(Files.readString(log)).isTrue();
				Thread.sleep(200);
			}
		}
	}

	private static HttpResponse<String> post(int port, Object body) throws IOException, InterruptedException {
		return HttpClient.newHttpClient()
			.send(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/invocations"))
				.header("Content-Type", "application/json")
				.POST(HttpRequest.BodyPublishers.ofString(new Gson().toJson(body)))
				.build(), HttpResponse.BodyHandlers.ofString());
	}

	/** What a script of the tests prints, if it ends well. */
	private String script(String script, String... arguments) throws IOException, InterruptedException {
		Path file = directory.resolve(script);
		Files.write(file, PythonFlavorsTest.class.getResourceAsStream(script).readAllBytes());
		File output = Files.createTempFile(directory, script, ".log").toFile();
		Process process = process(Stream.concat(Stream.of(file.toString()), Stream.of(arguments)).toList())
			.redirectErrorStream(true)
			.redirectOutput(output)
			.start();
		int status = process.waitFor();
		String text = Files.readString(output.toPath());
		assertThat(status).as(text).isZero();
		return text;
	}

	private ProcessBuilder process(List<String> arguments) {
		ProcessBuilder builder = new ProcessBuilder(
				Stream.concat(Stream.of(python.resolve("bin/python").toString()), arguments.stream()).toList());
		builder.directory(directory.toFile());
		Map<String, String> environment = builder.environment();
		environment.put("MLFLOW_TRACKING_URI", this.server.toString());
		environment.put("TF_CPP_MIN_LOG_LEVEL", "2");
		environment.put("PATH", python.resolve("bin") + File.pathSeparator + environment.get("PATH"));
		return builder;
	}

}

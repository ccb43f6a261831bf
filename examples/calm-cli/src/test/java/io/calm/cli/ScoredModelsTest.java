package io.calm.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.UUID;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.checkpoint.ModelDirectory;
import io.calm.mlflow.MlflowConnection;
import io.calm.mlflow.MlflowRegistry;
import io.calm.mlflow.MlflowServer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.mlflow.api.proto.Service.Metric;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.tracking.MlflowClient;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Models in directories and in a real registry: scored, compared and exported.
 */
@ExtendWith(MlflowServer.class)
class ScoredModelsTest {

	private static Path directory;

	private static Path corpus;

	private static Path calm;

	private static Path baseline;

	private final StringWriter out = new StringWriter();

	private final StringWriter err = new StringWriter();

	private final String server;

	private final MlflowRegistry registry;

	private final String name = "model-" + UUID.randomUUID();

	ScoredModelsTest(URI server) {
		this.server = server.toString();
		this.registry = MlflowRegistry.of(MlflowConnection.to(this.server));
	}

	@BeforeAll
	static void train(@TempDir Path temporary) throws IOException {
		directory = temporary;
		corpus = Files.writeString(directory.resolve("corpus.txt"),
				"The quick brown fox jumps over the lazy dog.\n".repeat(60));
		calm = directory.resolve("calm");
		baseline = directory.resolve("baseline");
		String[] common = { "--quiet", "--no-fusion", "--corpus", corpus.toString(), "--tokenizer", "byte", "--preset",
				"nano", "--steps", "2", "--batch", "2", "--block", "32" };
		StringWriter err = new StringWriter();
		assertThat(run(new StringWriter(), err, with(common, "--latent-size", "8", "--autoencoder-size", "32",
				"--autoencoder-steps", "2", "--output", calm.toString())))
			.as(err.toString())
			.isZero();
		assertThat(run(new StringWriter(), err, with(common, "--baseline", "--output", baseline.toString())))
			.as(err.toString())
			.isZero();
	}

	private static String[] with(String[] common, String... more) {
		String[] all = new String[1 + common.length + more.length];
		all[0] = "train";
		System.arraycopy(common, 0, all, 1, common.length);
		System.arraycopy(more, 0, all, 1 + common.length, more.length);
		return all;
	}

	private static int run(StringWriter out, StringWriter err, String... args) {
		return CalmCommand.commandLine()
			.setOut(new PrintWriter(out, true))
			.setErr(new PrintWriter(err, true))
			.execute(args);
	}

	private JsonObject report(String... args) {
		assertThat(run(this.out, this.err, args)).as(this.err.toString()).isZero();
		return JsonParser.parseString(this.out.toString()).getAsJsonObject();
	}

	@Test
	void scoresOfAVersionAreRecordedInItsRun() {
		MlflowRegistry.Version version = this.registry.register(this.name, calm, (options) -> options.alias("best"));
		JsonObject report = report("evaluate", "models:/" + this.name + "@best", "--corpus", corpus.toString(),
				"--block", "32", "--limit", "100", "--json", "--mlflow", this.server);
		assertThat(this.err.toString()).contains("recorded in run " + version.runId() + " of " + version.uri());
		Run run = new MlflowClient(this.server).getRun(version.runId());
		Map<String, Double> metrics = metrics(run);
		assertThat(metrics).containsKeys("evaluation/brier_2", "evaluation/brier_3", "evaluation/brier_4")
			.containsEntry("evaluation/brier_lm", report.get("brierLM").getAsDouble())
			.containsEntry("evaluation/brier_lm_error", report.get("error").getAsDouble())
			.containsEntry("evaluation/brier_1", report.getAsJsonArray("brier").get(0).getAsDouble())
			.containsEntry("evaluation/block", 32.0);
		assertThat(run.getInputs().getDatasetInputs(0).getDataset().getSource()).containsPattern("[0-9a-f]{64}");
		assertThat(run.getInputs().getDatasetInputs(0).getTags(0).getValue()).isEqualTo("evaluation");
		assertThat(this.registry.find(version.uri()).tags()).containsEntry("metric.evaluation.brier_lm",
				report.get("brierLM").getAsString());
		// neither the text nor where it is
		assertThat(run.toString()).doesNotContain("quick brown").doesNotContain(corpus.toString());
	}

	private static Map<String, Double> metrics(Run run) {
		return run.getData().getMetricsList().stream().collect(Collectors.toMap(Metric::getKey, Metric::getValue));
	}

	@Test
	void scoresOfADirectoryAreARun() {
		report("evaluate", baseline.toString(), "--corpus", corpus.toString(), "--block", "32", "--limit", "100",
				"--json", "--mlflow", this.server, "--mlflow-experiment", this.name);
		String id = this.err.toString().strip().replaceFirst(".*recorded in run ", "");
		Run run = new MlflowClient(this.server).getRun(id);
		assertThat(run.getInfo().getRunName()).isEqualTo("evaluate baseline");
		assertThat(metrics(run)).containsKeys("evaluation/brier_lm", "evaluation/cross_entropy");
	}

	@Test
	void comparesADirectoryWithAVersion() {
		MlflowRegistry.Version version = this.registry.register(this.name, calm, (options) -> {
		});
		JsonObject report = report("compare", version.uri(), baseline.toString(), "--corpus", corpus.toString(),
				"--block", "32", "--limit", "100", "--json", "--mlflow", this.server);
		assertThat(report.get("positions").getAsInt()).isEqualTo(100);
		double first = report.getAsJsonObject("first").get("brierLM").getAsDouble();
		double second = report.getAsJsonObject("second").get("brierLM").getAsDouble();
		assertThat(report.get("difference").getAsDouble()).isEqualTo(second - first);
		assertThat(report.get("better").getAsString())
			.matches("neither: .*|" + version.uri() + "|" + Pattern.quote(baseline.toString()));
		assertThat(report.getAsJsonObject("first").get("model").getAsString()).isEqualTo(version.uri());
	}

	@Test
	void modelsOfOtherTokenizersAreNotCompared() throws IOException {
		Path other = directory.resolve("other");
		ModelDirectory.open(baseline).copyTo(other);
		Files.writeString(other.resolve("tokenizer.json"), Files.readString(other.resolve("tokenizer.json")) + " ");
		assertThat(run(this.out, this.err, "compare", calm.toString(), other.toString(), "--corpus", corpus.toString()))
			.isEqualTo(2);
		assertThat(this.err.toString().lines()).singleElement()
			.asString()
			.contains("is another tokenizer than")
			.endsWith("compare models that were trained with the same one");
	}

	@Test
	void exports() {
		Path saved = directory.resolve("saved");
		assertThat(report("export", calm.toString(), "--saved-model", saved.toString(), "--json").get("signatures")
			.getAsString()).isEqualTo("encode, decode, next_patches, next_patches_seeded");
		assertThat(saved.resolve("saved_model.pb")).isNotEmptyFile();
		assertThat(run(this.out, this.err, "export", calm.toString(), "--saved-model", saved.toString())).isEqualTo(2);
		assertThat(this.err.toString().lines()).singleElement().asString().contains("is not an empty directory");
	}

}

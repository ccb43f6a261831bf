package io.calm.examples.finetune;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import io.calm.mlflow.MlflowConnection;
import io.calm.mlflow.MlflowRegistry;
import io.calm.mlflow.MlflowServer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.mlflow.api.proto.Service.Metric;
import org.mlflow.api.proto.Service.Run;
import org.mlflow.api.proto.Service.RunStatus;
import org.mlflow.tracking.MlflowClient;

import org.springframework.boot.test.system.CapturedOutput;
import org.springframework.boot.test.system.OutputCaptureExtension;

import static org.assertj.core.api.Assertions.assertThat;

@ExtendWith(OutputCaptureExtension.class)
class FineTuneTests {

	private static final Pattern RESULT = Pattern.compile("Brier-1 .* before, .* after: ([+-][\\d.]+) ± ([\\d.]+)");

	private static Path base;

	@TempDir
	private Path directory = Path.of("");

	@BeforeAll
	static void trainBase(@TempDir Path directory) {
		base = TinyBase.train(directory);
	}

	private Path output() {
		return this.directory.resolve("tuned");
	}

	private int fineTune(String... properties) {
		List<String> args = new ArrayList<>(
				List.of("--finetune.base=" + base, "--finetune.output=" + output(), "--finetune.fused=false",
						"--finetune.patches=32", "--finetune.warmup=10", "--finetune.sample.max-new-tokens=8"));
		// Spring would read a property that is given twice as a list
		args.removeIf((small) -> Stream.of(properties)
			.anyMatch((property) -> property.startsWith(small.substring(0, small.indexOf('=') + 1))));
		args.addAll(List.of(properties));
		return FineTune.run(args.toArray(String[]::new));
	}

	@Test
	@ExtendWith(MlflowServer.class)
	void improvesOnTheNewDomainAndIsTracked(URI server, CapturedOutput output) {
		String name = "tickets-" + UUID.randomUUID();
		assertThat(fineTune("--finetune.autoencoder.steps=300", "--finetune.autoencoder.learning-rate=0.003",
				"--finetune.steps=150", "--finetune.learning-rate=0.003", "--finetune.evaluate-every=50",
				"--calm.mlflow.tracking-uri=" + server, "--calm.mlflow.experiment=" + name,
				"--finetune.register-as=" + name, "--finetune.alias=champion"))
			.isZero();
		assertThat(output).contains("> Hello, I bought a Norvik printer", "the best so far");
		Matcher result = RESULT.matcher(output);
		assertThat(result.find()).isTrue();
		assertThat(Double.parseDouble(result.group(1))).as("better than chance explains")
			.isGreaterThan(4 * Double.parseDouble(result.group(2)));

		MlflowClient client = new MlflowClient(server.toString());
		MlflowRegistry.Version version = MlflowRegistry.of(MlflowConnection.to(server.toString()))
			.find("models:/" + name + "@champion");
		Run training = client.getRun(version.runId());
		assertThat(training.getInfo().getStatus()).isEqualTo(RunStatus.FINISHED);
		String experiment = client.getExperimentByName(name).orElseThrow().getExperimentId();
		assertThat(training.getInfo().getExperimentId()).isEqualTo(experiment);
		String languageModel = client.searchRuns(List.of(experiment), "tags.`calm.phase` = 'language-model'")
			.get(0)
			.getRunId();
		List<Metric> scores = client.getMetricHistory(languageModel, "evaluation/brier_lm");
		assertThat(scores).extracting(Metric::getStep).containsExactly(0L, 50L, 100L, 150L);
		assertThat(version.tags()).containsKeys("metric.brier_lm", "metric.brier_lm_error");
	}

	/** A minute or so: one layer reads tickets of a hundred tokens. */
	@Test
	@EnabledIfSystemProperty(named = "calm.long", matches = "true")
	void learnsToSortTickets(CapturedOutput output) {
		assertThat(fineTune("--finetune.categories=true", "--finetune.patches=64", "--finetune.autoencoder.steps=300",
				"--finetune.autoencoder.learning-rate=0.003", "--finetune.steps=300", "--finetune.learning-rate=0.003"))
			.isZero();
		List<Double> right = Pattern.compile("([\\d.]+) % ± [\\d.]+ of 200 answers are right")
			.matcher(output)
			.results()
			.map((match) -> Double.valueOf(match.group(1)))
			.toList();
		assertThat(right).hasSize(2);
		assertThat(right.get(0)).as("one of seven categories, by chance").isLessThan(25);
		assertThat(right.get(1)).isGreaterThanOrEqualTo(90);
	}

	/** At a rate of nothing no model is better than the base. */
	@Test
	void stopsEarlyAndKeepsTheBest(CapturedOutput output) {
		assertThat(fineTune("--finetune.autoencoder.steps=0", "--finetune.learning-rate=1e-30",
				"--finetune.averaging=0", "--finetune.evaluate-every=1", "--finetune.patience=2"))
			.isZero();
		assertThat(output).contains("language-model: ended after step 2");
		assertThat(output().resolve("model.safetensors")).hasSameBinaryContentAs(base.resolve("model.safetensors"));
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', textBlock = """
			--finetune.base=nowhere          | nowhere:
			--finetune.steps=0               | finetune.steps is '0';
			--finetune.steps=many            | finetune.steps is 'many', which is no long
			--finetune.learning-rate=-1      | finetune.learning-rate is '-1.0';
			--finetune.autoencoder.steps=-1  | finetune.autoencoder.steps is '-1';
			--finetune.device=abacus         | finetune.device is 'abacus', which is no device
			--finetune.corpus=some.txt       | finetune.corpus and finetune.held-out: only one of them is given
			--finetune.register-as=tickets   | finetune.register-as is given, but there is no MLflow server
			--finetune.register-as=a/b       | finetune.register-as is 'a/b'; must be without slash, colon and at sign
			""")
	void badInputIsExplainedInOneLine(String property, String message, CapturedOutput output) {
		assertThat(fineTune(property)).isEqualTo(2);
		assertThat(output.getErr().lines()).singleElement().asString().startsWith("fine-tune: ").contains(message);
		assertThat(output.getOut()).doesNotContain("Before:", "Exception");
		assertThat(output()).doesNotExist();
	}

	@Test
	void outputIsNotOverwritten(CapturedOutput output) throws IOException {
		Files.createDirectory(output());
		assertThat(fineTune()).isEqualTo(2);
		assertThat(output.getErr().lines()).singleElement().asString().contains("tuned exists already");
		assertThat(output()).isEmptyDirectory();
	}

	@Test
	void textWithoutTheFieldIsExplainedInOneLine(CapturedOutput output) throws IOException {
		Path text = Files.writeString(this.directory.resolve("text.jsonl"), "{\"body\": \"red\"}\n");
		assertThat(fineTune("--finetune.corpus=" + text, "--finetune.held-out=" + text)).isEqualTo(2);
		assertThat(output.getErr().lines()).singleElement().asString().contains("text.jsonl");
		assertThat(output()).doesNotExist();
	}

}

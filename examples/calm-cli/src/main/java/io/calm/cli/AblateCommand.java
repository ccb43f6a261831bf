package io.calm.cli;

import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

import io.calm.cli.ablate.Laboratory;
import io.calm.cli.ablate.Material;
import io.calm.cli.ablate.Scale;
import io.calm.cli.ablate.Study;
import io.calm.cli.ablate.StudyReport;
import io.calm.input.InvalidInputException;
import io.calm.mlflow.MlflowStudy;
import io.calm.text.Corpus;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Repeats a comparison of the paper. */
@Command(name = "ablate",
		description = "Train and score models that differ in one setting, and write results.csv, chart.png and "
				+ "report.md. The same command resumes an interrupted study.")
final class AblateCommand extends Subcommand {

	/** What is held equal between the arms. */
	enum Equal {

		STEPS, FLOPS

	}

	/** For the help. */
	static final class Studies implements Iterable<String> {

		@Override
		public Iterator<String> iterator() {
			return Study.names().iterator();
		}

	}

	@Parameters(paramLabel = "STUDY", completionCandidates = Studies.class,
			description = "One of ${COMPLETION-CANDIDATES}.")
	private String study = "";

	@Option(names = "--output", required = true, paramLabel = "DIR", description = "Directory for models and results.")
	private Path output = Path.of("study");

	@Option(names = "--known-source",
			description = "Train on a random source whose best possible score is known (the default without --corpus).")
	private boolean knownSource;

	@Option(names = "--states", defaultValue = "64", description = "States of the source (default: ${DEFAULT-VALUE}).")
	private int states;

	@Option(names = "--successors", defaultValue = "3",
			description = "Successors of each state (default: ${DEFAULT-VALUE}).")
	private int successors;

	@Option(names = "--corpus", arity = "1..*", paramLabel = "PATH",
			description = "Training text: .txt, .jsonl, both also as .gz or .zst, .parquet, or directories of them.")
	private List<Path> corpus = List.of();

	@Option(names = "--evaluation-corpus", arity = "1..*", paramLabel = "PATH",
			description = "Text to score the models on, not used for training.")
	private List<Path> evaluationCorpus = List.of();

	@Mixin
	private FieldOptions fields = new FieldOptions();

	@Option(names = "--minutes", defaultValue = "5",
			description = "Time for the whole study. A few steps of each model are timed first, to find out how many "
					+ "fit (default: ${DEFAULT-VALUE}).")
	private double minutes;

	@Option(names = "--steps", defaultValue = "0",
			description = "Steps of the first model, instead of the number that fits into --minutes.")
	private long steps;

	@Option(names = "--equal", defaultValue = "steps",
			description = "What is the same for all models: steps or flops (default: ${DEFAULT-VALUE}).")
	private Equal equal = Equal.STEPS;

	@Option(names = "--preset", defaultValue = "nano",
			description = "Size of the language models (default: ${DEFAULT-VALUE}).")
	private String preset = "nano";

	@Option(names = "--patch-size", defaultValue = "4",
			description = "K, tokens per patch (default: ${DEFAULT-VALUE}).")
	private int patchSize;

	@Option(names = "--latent-size", defaultValue = "32",
			description = "l, size of the latent vector (default: ${DEFAULT-VALUE}).")
	private int latentSize;

	@Option(names = "--autoencoder-size", defaultValue = "128",
			description = "D, width of the autoencoder (default: ${DEFAULT-VALUE}).")
	private int autoencoderSize;

	@Option(names = "--autoencoder-share", defaultValue = "1",
			description = "Steps of the autoencoder per step of the language model. Large vocabularies need more "
					+ "(default: ${DEFAULT-VALUE}).")
	private double autoencoderShare;

	@Option(names = "--batch", defaultValue = "32", description = "Sequences per step (default: ${DEFAULT-VALUE}).")
	private int batch;

	@Option(names = "--block", defaultValue = "64", description = "Tokens per sequence (default: ${DEFAULT-VALUE}).")
	private int block;

	@Option(names = "--learning-rate", defaultValue = "0.001",
			description = "Maximum learning rate of all trainings (default: ${DEFAULT-VALUE}).")
	private double learningRate;

	@Option(names = "--positions", defaultValue = "20000",
			description = "Maximum number of positions to score (default: ${DEFAULT-VALUE}).")
	private long positions;

	@Option(names = "--seed", defaultValue = "1",
			description = "Seed of all random numbers (default: ${DEFAULT-VALUE}).")
	private long seed;

	@Option(names = "--mlflow", paramLabel = "URI",
			description = "Track the study on this MLflow server, as a run with a nested run for each model.")
	private @Nullable String mlflow;

	@Option(names = "--mlflow-experiment", paramLabel = "NAME",
			description = "The experiment (default: MLFLOW_EXPERIMENT_NAME, else Default).")
	private @Nullable String mlflowExperiment;

	@Mixin
	private TokenizerOption tokenizer = new TokenizerOption();

	@Mixin
	private ComputeOptions compute = new ComputeOptions();

	@Override
	Report run() {
		Study chosen = Study.named(this.study);
		Scale scale = new Scale(this.preset, this.patchSize, this.latentSize, this.autoencoderSize,
				this.autoencoderShare, this.batch, this.block, this.learningRate, this.steps, this.minutes,
				this.equal == Equal.FLOPS, this.positions, this.seed);
		Report report = new Report();
		try (Material material = material()) {
			StudyReport found = new Laboratory(scale, material, this.compute.training(), this.compute.evaluation(),
					(arm) -> new TrainingProgress(this, arm + ", "), this::tracking)
				.run(chosen, this.output);
			found.forEach(report::put);
			if (!Double.isNaN(material.idealBrierLm())) {
				report.put("bestPossible", material.idealBrierLm());
			}
		}
		return report.put("output", this.output.toString());
	}

	private Material material() {
		if (this.corpus.isEmpty()) {
			return Material.ofKnownSource(this.states, this.successors, this.seed);
		}
		if (this.knownSource) {
			refuse("--known-source", "--corpus");
		}
		if (this.evaluationCorpus.isEmpty()) {
			throw new InvalidInputException("--corpus", "needs --evaluation-corpus too",
					"name text that is not trained on");
		}
		Corpus text = text(this.corpus);
		return Material.ofText(text, text(this.evaluationCorpus),
				this.tokenizer.tokenizer(text, "leave --corpus out to train on a known source", null));
	}

	private Corpus text(List<Path> paths) {
		return Corpus.of((options) -> this.fields.applyTo(options, paths));
	}

	private Optional<MlflowStudy> tracking(String key) {
		Map<String, String> params = Map.of("study", this.study, "seed", Long.toString(this.seed), "equal",
				this.equal.name().toLowerCase(Locale.ROOT));
		return Optional.ofNullable(this.mlflow).map((uri) -> MlflowStudy.of(key, this.output, params, (options) -> {
			options.trackingUri(uri).run("ablate " + this.study);
			if (this.mlflowExperiment != null) {
				options.experiment(this.mlflowExperiment);
			}
		}));
	}

}

package io.calm.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

import io.calm.Calm;
import io.calm.CalmTraining;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.cli.ablate.Scale;
import io.calm.cluster.LostWorkerException;
import io.calm.cluster.Workers;
import io.calm.graph.Precision;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.mlflow.MlflowListener;
import io.calm.model.BaselineConfig;
import io.calm.model.LanguageModelConfig;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelKind;
import io.calm.text.Corpus;
import io.calm.text.TokenCache;
import io.calm.text.Tokenizer;
import io.calm.training.Phase;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingOptions;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Trains a model on text. */
@Command(name = "train",
		description = "Train an autoencoder and a language model on text, or a baseline. Options can also be read from "
				+ "a file. The same command resumes an interrupted training.")
final class TrainCommand extends Subcommand {

	/** The run in the model directory. */
	static final String DESCRIPTION = "run.yaml";

	private static final List<String> OF_CALM = List.of("--input", "--head", "--copy-size", "--token-loss",
			"--guessed-tokens", "--vector-every", "--lead-tokens", "--samples", "--targets", "--alpha",
			"--sampling-steps", "--solver");

	private static final List<String> OF_AUTOENCODER = List.of("--autoencoder-steps", "--autoencoder-learning-rate");

	/** Besides those of CALM models, these do not concern the autoencoder. */
	private static final List<String> OF_LANGUAGE_MODELS = List.of("--preset", "--steps", "--learning-rate",
			"--averaging", "--sample", "--backbone-rate", "--frozen-steps");

	/** Those that workers can send sums in. */
	private enum ReductionPrecision {

		FP32(Precision.FP32), BF16(Precision.BF16);

		private final Precision precision;

		ReductionPrecision(Precision precision) {
			this.precision = precision;
		}

	}

	@Parameters(paramLabel = "RUN", arity = "0..1",
			description = "A YAML file of options: each key is the name of an option without its dashes. Options on the "
					+ "command line override it. The options of a run are written to run.yaml in the model directory.")
	private @Nullable Path file;

	@Option(names = "--dry-run",
			description = "Check everything, do a few steps, and print sizes, time and memory. Write nothing.")
	private boolean dryRun;

	@Option(names = "--corpus", arity = "1..*", paramLabel = "PATH",
			description = "Training text: .txt, .jsonl, both also as .gz or .zst, .parquet, or directories of them. "
					+ "Required. A .jsonl line may be a prompt with its completion, or messages: then only the answers "
					+ "are learned.")
	private List<Path> corpus = List.of();

	@Mixin
	private FieldOptions fields = new FieldOptions();

	@Option(names = "--document-start", paramLabel = "REGEX",
			description = "Regular expression for the first line of each document in .txt (default: a file is one "
					+ "document).")
	private @Nullable String documentStart;

	@Option(names = "--base", paramLabel = "DIR",
			description = "A finished model to fine-tune, with its tokenizer and its sizes, instead of random weights.")
	private @Nullable Path base;

	@Option(names = "--lora-rank", paramLabel = "R",
			description = "Train a low-rank adaptation (LoRA) of this rank of the --base, instead of its weights. The "
					+ "output is an adapter in the layout of PEFT, which needs its base; 'calm merge' makes a model of "
					+ "both.")
	private @Nullable Integer loraRank;

	@Option(names = "--lora-alpha", paramLabel = "ALPHA", defaultValue = "16",
			description = "The adaptation is multiplied by this number, divided by its rank (default: "
					+ "${DEFAULT-VALUE}).")
	private double loraAlpha;

	@Option(names = "--warm-start", paramLabel = "DIR",
			description = "A pretrained Llama-like model. The language model starts with its backbone and token "
					+ "embeddings, and uses its tokenizer unless --tokenizer names one. Autoencoder, patch embedding "
					+ "and head are trained from scratch.")
	private @Nullable Path warmStart;

	@Option(names = "--output", paramLabel = "DIR", description = "The model directory to write. Required.")
	private @Nullable Path output;

	@Option(names = "--tokens", paramLabel = "DIR",
			description = "Directory to keep the tokens of the texts in, so that each text is tokenized only once "
					+ "(default: tokens, next to the output).")
	private @Nullable Path tokens;

	@Option(names = "--preset", defaultValue = "micro",
			description = "Size: nano, micro, small, CALM-M, CALM-L or CALM-XL; Transformer-S, -M or -L for a baseline "
					+ "(default: ${DEFAULT-VALUE}).")
	private String preset = "micro";

	@Option(names = "--baseline",
			description = "Train the baseline Transformer, which predicts one token at a time, instead of a CALM model.")
	private boolean baseline;

	@Option(names = "--patch-size", defaultValue = "4",
			description = "K, tokens per patch (default: ${DEFAULT-VALUE}).")
	private int patchSize;

	@Option(names = "--latent-size", defaultValue = "128",
			description = "l, size of the latent vector (default: ${DEFAULT-VALUE}).")
	private int latentSize;

	@Option(names = "--autoencoder-size", defaultValue = "256",
			description = "D, width of the autoencoder (default: ${DEFAULT-VALUE}).")
	private int autoencoderSize;

	@Option(names = "--autoencoder-steps", defaultValue = "2000",
			description = "Steps of the autoencoder (default: ${DEFAULT-VALUE}). With --base, 0 leaves the autoencoder "
					+ "unchanged.")
	private long autoencoderSteps;

	@Option(names = "--autoencoder-learning-rate", defaultValue = "0.001",
			description = "Maximum learning rate of the autoencoder (default: ${DEFAULT-VALUE}).")
	private double autoencoderLearningRate;

	@Option(names = "--steps", defaultValue = "3000",
			description = "Steps of the language model (default: ${DEFAULT-VALUE}).")
	private long steps;

	@Option(names = "--learning-rate", defaultValue = "0.0005",
			description = "Maximum learning rate of the language model (default: ${DEFAULT-VALUE}).")
	private double learningRate;

	@Option(names = "--backbone-rate", defaultValue = "1", paramLabel = "SHARE",
			description = "Learning rate of the language model's backbone and token embeddings, as a share of "
					+ "--learning-rate; 0 leaves them unchanged (default: ${DEFAULT-VALUE}).")
	private double backboneRate;

	@Option(names = "--frozen-steps", defaultValue = "0",
			description = "Number of steps at the start in which the language model's backbone and token embeddings "
					+ "stay unchanged (default: ${DEFAULT-VALUE}).")
	private long frozenSteps;

	@Option(names = "--batch", defaultValue = "8", description = "Sequences per step (default: ${DEFAULT-VALUE}).")
	private int batch;

	@Option(names = "--block", defaultValue = "256", description = "Tokens per sequence (default: ${DEFAULT-VALUE}).")
	private int block;

	@Option(names = "--checkpoint-every", defaultValue = "500",
			description = "Steps between checkpoints (default: ${DEFAULT-VALUE}).")
	private long checkpointEvery;

	@Option(names = "--evaluate-every", defaultValue = "500",
			description = "Steps between evaluations, with --evaluation-corpus or --sample (default:"
					+ " ${DEFAULT-VALUE}).")
	private long evaluateEvery;

	@Option(names = "--evaluation-corpus", arity = "1..*", paramLabel = "PATH",
			description = "Text to score the models on, not used for training.")
	private List<Path> evaluationCorpus = List.of();

	@Option(names = "--patience", defaultValue = "0",
			description = "End the training after this number of evaluations in a row without a better BrierLM, and "
					+ "keep the best model. Needs --evaluation-corpus (default: never).")
	private int patience;

	@Option(names = "--sample", paramLabel = "PROMPT",
			description = "A prompt that the language model continues at each evaluation, at temperature 0.5. May be "
					+ "given several times. With --mlflow, prompts and texts are sent there too.")
	private List<String> samples = List.of();

	@Option(names = "--seed", defaultValue = "1",
			description = "Seed of all random numbers (default: ${DEFAULT-VALUE}).")
	private long seed;

	@Option(names = "--mlflow", paramLabel = "URI",
			description = "Track the training on this MLflow server, such as http://localhost:5000. Credentials come "
					+ "from MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN. What "
					+ "the server does not accept stays in mlflow-spool next to the output; see 'calm "
					+ "mlflow-replay'.")
	private @Nullable String mlflow;

	@Option(names = "--mlflow-experiment", paramLabel = "NAME",
			description = "The experiment (default: MLFLOW_EXPERIMENT_NAME, else Default).")
	private @Nullable String mlflowExperiment;

	@Option(names = "--trace", paramLabel = "FILE",
			description = "Record three steps of each phase for chrome://tracing or Perfetto: which operation TensorFlow "
					+ "computed when. An existing file is replaced.")
	private @Nullable Path trace;

	@Option(names = "--workers", paramLabel = "N",
			description = "Share each step among this number of processes. Without TF_CONFIG, they are started on this "
					+ "machine, and each opens a port to the network (default: as many as TF_CONFIG lists, else 1).")
	private @Nullable Integer workers;

	@Option(names = "--reduction-precision", defaultValue = "fp32",
			description = "Number format in which workers send each other gradients: fp32, or bf16, which halves the "
					+ "bytes and rounds each gradient to 8 bits (default: ${DEFAULT-VALUE}).")
	private ReductionPrecision reductionPrecision = ReductionPrecision.FP32;

	@Option(names = "--join-timeout", paramLabel = "SECONDS", defaultValue = "600",
			description = "How many seconds workers wait for one that is late (default: ${DEFAULT-VALUE}).")
	private int joinTimeout;

	/** Set by a sweep, for which a training may have several parts. */
	private long pauseAfter;

	@Mixin
	private TokenizerOption tokenizer = new TokenizerOption();

	@Mixin
	private CalmModelOptions head = new CalmModelOptions();

	@Mixin
	private OptimizerOptions optimizer = new OptimizerOptions();

	@Mixin
	private ComputeOptions compute = new ComputeOptions();

	@Override
	Report run() {
		if (this.file != null) {
			readOptions(this.file.toString(), RunFile.arguments(this.file, spec()));
		}
		refuseMeaningless();
		Path output = output();
		Optional<Workers> cluster = Workers.ofEnvironment();
		checkWorkers(cluster);
		if (this.workers != null && this.workers > 1 && cluster.isEmpty() && !this.dryRun) {
			List<String> arguments = new ArrayList<>(List.of(spec().name()));
			arguments.addAll(arguments());
			endWith(LocalWorkers.run(this.workers, arguments, err()));
			return new Report();
		}
		return with(this.dryRun ? null : TokenCache.in(tokens(output)), (options) -> train(options, output));
	}

	private Path output() {
		Path output = given("--output", "name the model directory to write", this.output);
		if (this.corpus.isEmpty()) {
			throw new InvalidInputException("--corpus", "is missing", "name the text to train on");
		}
		if (this.patience > 0 && this.evaluationCorpus.isEmpty()) {
			throw new InvalidInputException("--patience", "needs text to score the models on",
					"name it with --evaluation-corpus");
		}
		if (this.loraRank != null && this.base == null) {
			throw new InvalidInputException("--lora-rank", "needs a model whose weights stay as they are",
					"name it with --base");
		}
		return output;
	}

	/**
	 * Gives an action all options of the training.
	 * @param kept where a tokenizer is kept that is learned; null for nowhere
	 */
	private <T> T with(@Nullable TokenCache kept, Function<Consumer<CalmTraining>, T> action) {
		Corpus text = corpus(this.corpus);
		Path from = this.base;
		if (from != null) {
			return action.apply(options(text, (training) -> trainedOn(training, from)));
		}
		try (Tokenizer tokens = tokenizer(text, kept)) {
			return action.apply(options(text, (training) -> fromNoise(training.tokenizer(tokens))));
		}
	}

	private Tokenizer tokenizer(Corpus text, @Nullable TokenCache kept) {
		return (this.warmStart != null && !this.tokenizer.isNamed()) ? Tokenizer.load(this.warmStart)
				: this.tokenizer.tokenizer(text, "a model to train further with --base", kept);
	}

	/**
	 * A training that another command does.
	 * @param arguments as after {@code calm train}
	 * @throws InvalidInputException if options are missing or contradict each other
	 */
	static TrainCommand of(List<String> arguments) {
		CommandLine calm = CalmCommand.commandLine();
		TrainCommand training = (TrainCommand) Objects.requireNonNull(calm.getSubcommands().get("train")).getCommand();
		List<String> all = new ArrayList<>(List.of(training.spec().name()));
		all.addAll(arguments);
		calm.parseArgs(all.toArray(String[]::new));
		training.refuseMeaningless();
		training.output();
		return training;
	}

	/** Steps of the language model, or of the baseline. */
	long steps() {
		return this.steps;
	}

	void setSteps(long steps) {
		this.steps = steps;
	}

	/** Refuses what a sweep decides itself, and misses what it compares trials by. */
	TrainCommand checkForSweep() {
		if (this.evaluationCorpus.isEmpty()) {
			throw new InvalidInputException("evaluation-corpus", "is missing",
					"name text to compare the trials on, which is not trained on");
		}
		if (this.evaluateEvery < 1) {
			throw new InvalidInputException("evaluate-every", "is " + this.evaluateEvery + ", and trials need a score",
					"choose at least 1");
		}
		if (this.patience > 0) {
			throw new InvalidInputException("patience",
					"is " + this.patience + ", and all trials of a sweep get the same",
					"leave it out; with halving, the worse trials end early");
		}
		if (this.workers != null && this.workers > 1) {
			throw new InvalidInputException("workers", "is " + this.workers + ", and a trial is trained by one process",
					"leave it out; with parallel, several trials train at once");
		}
		if (this.trace != null) {
			throw new InvalidInputException("trace", "is given, and all trials would write the same file",
					"leave it out");
		}
		return this;
	}

	/**
	 * What a step of the language model or the baseline costs.
	 * @param kept where a tokenizer is kept that is learned
	 */
	double flopsPerStep(TokenCache kept) {
		Map<Phase, Double> flops = with(kept, Calm::flopsPerStep);
		return flops.getOrDefault(Phase.BASELINE, flops.getOrDefault(Phase.LANGUAGE_MODEL, 0.0));
	}

	/**
	 * Trains up to a step of the language model or the baseline, or goes on until there.
	 * @param step the last one of all makes the model directory
	 * @param shared autoencoders that others train too
	 */
	void trainUntil(long step, SharedAutoencoders shared, List<TrainingListener> listeners) {
		this.pauseAfter = step;
		if (this.baseline || this.base != null) {
			train(listeners);
		}
		else {
			shared.train(autoencoderSettings(), output(),
					(listener) -> train(Stream.concat(listeners.stream(), Stream.of(listener)).toList()));
		}
	}

	private void train(List<TrainingListener> listeners) {
		with(TokenCache.in(tokens(output())), (options) -> {
			Calm.train((training) -> {
				options.accept(training);
				listeners.forEach(training::listener);
			}).close();
			return listeners;
		});
	}

	/** All that decides about the autoencoder. */
	private String autoencoderSettings() {
		Map<String, OptionSpec> options = new LinkedHashMap<>(RunFile.keys(spec()));
		Stream.of(OF_CALM, OF_LANGUAGE_MODELS, List.of("--output"))
			.flatMap(List::stream)
			.forEach((name) -> options.remove(name.substring(2)));
		return RunFile.write(options);
	}

	private void checkWorkers(Optional<Workers> cluster) {
		int count = (this.workers != null) ? this.workers : cluster.map(Workers::count).orElse(1);
		if (count < 1) {
			throw new InvalidInputException("--workers", "is " + count, "choose at least 1");
		}
		if (this.joinTimeout < 1) {
			throw new InvalidInputException("--join-timeout", "is " + this.joinTimeout, "choose at least 1 second");
		}
		if (cluster.isPresent() && cluster.get().count() != count) {
			throw new InvalidInputException("--workers",
					"is " + count + ", but " + Workers.VARIABLE + " lists " + cluster.get().count(),
					"leave one of them out");
		}
		if (count > 1 && this.dryRun) {
			note("a dry run is one worker's, which does the steps of all " + count);
		}
	}

	/** Options that say nothing in this run, by what makes them so. */
	private Map<String, List<String>> meaningless() {
		Map<String, List<String>> meaningless = new LinkedHashMap<>();
		if (this.baseline) {
			meaningless.put("--baseline", concat(OF_CALM, List.of("--patch-size", "--latent-size", "--autoencoder-size",
					"--autoencoder-steps", "--autoencoder-learning-rate")));
		}
		if (this.warmStart != null) {
			meaningless.put("--warm-start", List.of("--preset", "--baseline"));
		}
		if (this.loraRank != null) {
			meaningless.put("--lora-rank", OF_AUTOENCODER);
		}
		else {
			meaningless.put("weights that are all trained", List.of("--lora-alpha"));
		}
		if (this.base != null) {
			meaningless.put("--base", concat(OF_CALM, List.of("--warm-start", "--tokenizer", "--preset", "--baseline",
					"--patch-size", "--latent-size", "--autoencoder-size")));
			if (config(this.base) instanceof BaselineConfig) {
				meaningless.put("a baseline as --base", OF_AUTOENCODER);
			}
		}
		return meaningless;
	}

	private static List<String> concat(List<String> first, List<String> second) {
		return Stream.concat(first.stream(), second.stream()).toList();
	}

	private void refuseMeaningless() {
		meaningless().forEach((beside, options) -> refuse(beside, options.toArray(String[]::new)));
	}

	/** All that decides about this run, as a file. */
	private String description() {
		Map<String, OptionSpec> options = new LinkedHashMap<>(RunFile.keys(spec()));
		meaningless().values().forEach((names) -> names.forEach((name) -> options.remove(name.substring(2))));
		// who may write to the server is nobody's business
		String described = RunFile.write(options);
		return described.replaceAll("(?m)^(mlflow: .*//)[^/@]*@", "$1");
	}

	private Consumer<CalmTraining> options(Corpus text, UnaryOperator<CalmTraining> model) {
		ProgramOptions program = this.compute.training();
		String description = description();
		Path output = output();
		return (training) -> {
			model.apply(training)
				.corpus(text)
				.program(program)
				.samples(this.samples, (request) -> request.temperature(0.5).maxNewTokens(64))
				.files((directory) -> write(directory.resolve(DESCRIPTION), description))
				.tokens(tokens(output))
				.reductionPrecision(this.reductionPrecision.precision)
				.joinTimeout(Duration.ofSeconds(this.joinTimeout))
				.onLostWorker(this::end)
				.output(output);
			if (!this.evaluationCorpus.isEmpty()) {
				training.evaluation(corpus(this.evaluationCorpus));
			}
			if (this.trace != null) {
				training.trace(this.trace);
			}
		};
	}

	private Report train(Consumer<CalmTraining> options, Path output) {
		if (this.dryRun) {
			return TrialReport.of(Calm.tryOut(options), output);
		}
		if (!Workers.ofEnvironment().map(Workers::isFirst).orElse(true)) {
			Calm.train(options).close();
			return new Report();
		}
		long start = System.nanoTime();
		try (MlflowListener tracking = tracking(output); TrainingProgress progress = new TrainingProgress(this)) {
			Calm.train((training) -> {
				options.accept(training);
				training.listener(progress);
				if (tracking != null) {
					training.listener(tracking);
				}
			}).close();
		}
		return new Report().put("output", output.toString())
			.put("seconds", Math.round((System.nanoTime() - start) / 1e9));
	}

	/**
	 * In the middle of a long step or evaluation, only the end of the process ends it.
	 */
	private void end(LostWorkerException lost) {
		note(String.valueOf(lost.getMessage()));
		System.exit(3);
	}

	private static void write(Path file, String content) {
		try {
			Files.writeString(file, content);
		}
		catch (IOException ex) {
			throw new InvalidInputException(file.toString(), "cannot be written (" + ex + ")",
					"check the free space and the permissions there", ex);
		}
	}

	private static <T> T given(String option, String action, @Nullable T value) {
		if (value == null) {
			throw new InvalidInputException(option, "is missing", action);
		}
		return value;
	}

	private CalmTraining fromNoise(CalmTraining training) {
		if (this.baseline) {
			return training.baseline(this.preset, (shape) -> {
			}, (options) -> languageModel(options, Math.max(2, this.block)));
		}
		int patches = Scale.patches(this.block, this.patchSize);
		training.autoencoder(
				(shape) -> shape.patchSize(this.patchSize)
					.latentSize(this.latentSize)
					.hiddenSize(this.autoencoderSize)
					.intermediateSize(Scale.intermediateSize(this.autoencoderSize)),
				(options) -> autoencoder(options, patches));
		return (this.warmStart != null)
				? training.warmStart(this.warmStart)
					.languageModel(this.head::applyTo, (options) -> languageModel(options, patches))
				: training.languageModel(this.preset, this.head::applyTo, (options) -> languageModel(options, patches));
	}

	private CalmTraining trainedOn(CalmTraining training, Path base) {
		training.base(base);
		if (this.loraRank != null) {
			training.lowRank(this.loraRank, this.loraAlpha);
		}
		LanguageModelConfig config = config(base);
		if (config instanceof BaselineConfig) {
			return training.languageModel((options) -> languageModel(options, Math.max(2, this.block)));
		}
		int patches = Scale.patches(this.block, config.patchSize());
		training.languageModel((options) -> languageModel(options, patches));
		return (this.autoencoderSteps > 0 && this.loraRank == null)
				? training.autoencoder((options) -> autoencoder(options, patches)) : training;
	}

	private static LanguageModelConfig config(Path base) {
		ModelDirectory model = ModelDirectory.open(base);
		try (TensorFile weights = model.weights()) {
			return (ModelKind.of(base, weights) == ModelKind.BASELINE) ? ModelConfigs.baseline(model, weights)
					: ModelConfigs.calm(model, weights);
		}
	}

	private void autoencoder(TrainingOptions.Builder options, int patches) {
		this.optimizer.applyTo(options)
			.steps(this.autoencoderSteps)
			.batch(this.batch)
			.patches(patches)
			.learningRate(this.autoencoderLearningRate)
			.checkpointEvery(this.checkpointEvery)
			.evaluateEvery(evaluateEvery())
			.seed(this.seed);
	}

	private void languageModel(TrainingOptions.Builder options, int positions) {
		this.optimizer.applyTo(options)
			.steps(this.steps)
			.pauseAfter(this.pauseAfter)
			.batch(this.batch)
			.patches(positions)
			.learningRate(this.learningRate)
			.backboneRate(this.backboneRate, this.frozenSteps)
			.averaging(this.optimizer.averaging())
			.checkpointEvery(this.checkpointEvery)
			.evaluateEvery(evaluateEvery())
			.patience(this.patience)
			.seed(this.seed);
	}

	private Path tokens(Path output) {
		return (this.tokens != null) ? this.tokens : output.resolveSibling("tokens");
	}

	private Corpus corpus(List<Path> paths) {
		return Corpus.of((options) -> {
			this.fields.applyTo(options, paths);
			if (this.documentStart != null) {
				options.documentStart(this.documentStart);
			}
		});
	}

	private long evaluateEvery() {
		return (this.evaluationCorpus.isEmpty() && this.samples.isEmpty()) ? 0 : this.evaluateEvery;
	}

	private @Nullable MlflowListener tracking(Path output) {
		String uri = this.mlflow;
		return (uri == null) ? null : MlflowListener.of((options) -> {
			options.trackingUri(uri).run(String.valueOf(output.getFileName()));
			if (this.mlflowExperiment != null) {
				options.experiment(this.mlflowExperiment);
			}
		});
	}

}

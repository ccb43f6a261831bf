package io.calm;

import java.io.IOException;
import java.nio.channels.ClosedByInterruptException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.BiFunction;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.stream.Stream;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.OutputLock;
import io.calm.checkpoint.TensorFile;
import io.calm.evaluation.BrierLm;
import io.calm.evaluation.LikelihoodScoring;
import io.calm.generation.GenerationEngine;
import io.calm.generation.GenerationRequest;
import io.calm.generation.GenerationStream;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.model.BackboneConfig;
import io.calm.model.BaselineConfig;
import io.calm.model.CalmConfig;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelFiles;
import io.calm.model.ModelKind;
import io.calm.text.Corpus;
import io.calm.text.TokenCache;
import io.calm.text.TokenStore;
import io.calm.text.Tokenizer;
import io.calm.training.AutoencoderTrainer;
import io.calm.training.BaselineTrainer;
import io.calm.training.Checkpoint;
import io.calm.training.Evaluation;
import io.calm.training.LanguageModelTrainer;
import io.calm.training.Sample;
import io.calm.training.TrainingException;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingOptions;
import io.calm.training.Trial;
import org.jspecify.annotations.Nullable;

/**
 * A training from text to a model directory: tokens, autoencoder, language model, or a
 * baseline Transformer in place of the last two. Its checkpoints lie beside the output,
 * in a directory of its name with {@code .training} behind it, until the model is
 * finished.
 *
 * <p>
 * With {@link #base} it is a fine-tuning: it begins with the weights of a finished model,
 * whose shape and tokenizer it keeps.
 */
public final class CalmTraining {

	/** What an evaluation during a training looks at, for an error of a few per cent. */
	private static final long EVALUATED_POSITIONS = 16_384;

	/** Texts an evaluation writes side by side. */
	private static final int SAMPLED_TOGETHER = 4;

	/** K of the paper: a baseline is scored where such a model would be. */
	private static final int COMPARED_PATCH_SIZE = 4;

	private static final String TOKENS = "tokens";

	private static final String LANGUAGE_MODEL = "language-model";

	private static final String BASELINE = "baseline";

	private @Nullable Corpus corpus;

	private @Nullable Corpus unseen;

	private List<String> prompts = List.of();

	private Consumer<GenerationRequest.Builder> sampled = (request) -> {
	};

	private @Nullable Path tokenizerPath;

	private @Nullable Tokenizer tokenizer;

	private @Nullable Path output;

	private @Nullable Path tokens;

	private @Nullable Path base;

	private @Nullable Consumer<AutoencoderConfig.Builder> autoencoderShape;

	private @Nullable Consumer<TrainingOptions.Builder> autoencoderTraining;

	private @Nullable ModelShape modelShape;

	private Consumer<TrainingOptions.Builder> modelTraining = (training) -> {
	};

	private @Nullable Baseline baseline;

	private ProgramOptions program = ProgramOptions.DEFAULT.withFusion(true);

	private Consumer<Path> files = (directory) -> {
	};

	private final List<TrainingListener> listeners = new ArrayList<>();

	CalmTraining() {
	}

	/**
	 * Trains on the text of these files.
	 * @param paths files ({@code .txt}, {@code .jsonl}, both also compressed,
	 * {@code .parquet}) or directories of them
	 * @return this
	 */
	public CalmTraining corpus(Path... paths) {
		return corpus(Corpus.of(paths));
	}

	/**
	 * Trains on this text.
	 * @param corpus with options of its own
	 * @return this
	 */
	public CalmTraining corpus(Corpus corpus) {
		this.corpus = corpus;
		return this;
	}

	/**
	 * Text to score the models on, every {@link TrainingOptions#evaluateEvery()} steps.
	 * @param unseen text that is not trained on; without it, nothing is scored
	 * @return this
	 */
	public CalmTraining evaluation(Corpus unseen) {
		this.unseen = unseen;
		return this;
	}

	/**
	 * Lets the language model go on with these prompts at each evaluation, every
	 * {@link TrainingOptions#evaluateEvery()} steps: see
	 * {@link TrainingListener#onSamples}. Listeners that record a training record the
	 * prompts and texts too.
	 * @param prompts beginnings of texts; none by default
	 * @param request sets what differs from the defaults of a {@link GenerationRequest}
	 * @return this
	 */
	public CalmTraining samples(List<String> prompts, Consumer<GenerationRequest.Builder> request) {
		this.prompts = List.copyOf(prompts);
		this.sampled = request;
		return this;
	}

	/**
	 * Reads the tokenizer from a file.
	 * @param path a {@code tokenizer.json}, or a directory with one
	 * @return this
	 */
	public CalmTraining tokenizer(Path path) {
		this.tokenizerPath = path;
		return this;
	}

	/**
	 * Uses a tokenizer that is open already.
	 * @param tokenizer stays the caller's, who closes it
	 * @return this
	 */
	public CalmTraining tokenizer(Tokenizer tokenizer) {
		this.tokenizer = tokenizer;
		return this;
	}

	/**
	 * A finished model to begin with, in place of random weights: the language model is
	 * trained on, with the base's tokenizer and over its autoencoder, which stays as it
	 * is unless {@link #autoencoder(Consumer)} says how to train it on too. Evaluations
	 * begin with the base, as step 0. A baseline Transformer is trained on too, as
	 * {@link #languageModel(Consumer)} says; its patches are tokens.
	 * @param directory of a CALM model with its tokenizer and its autoencoder, or of a
	 * baseline with its tokenizer
	 * @return this
	 */
	public CalmTraining base(Path directory) {
		this.base = directory;
		return this;
	}

	/**
	 * The autoencoder, in the paper's sizes or the base's.
	 * @param training sets how long and how it is trained
	 * @return this
	 */
	public CalmTraining autoencoder(Consumer<TrainingOptions.Builder> training) {
		this.autoencoderTraining = training;
		return this;
	}

	/**
	 * Sets the autoencoder's shape and training.
	 * @param shape sets its sizes; the paper's by default
	 * @param training sets how long and how it is trained
	 * @return this
	 */
	public CalmTraining autoencoder(Consumer<AutoencoderConfig.Builder> shape,
			Consumer<TrainingOptions.Builder> training) {
		this.autoencoderShape = shape;
		this.autoencoderTraining = training;
		return this;
	}

	/**
	 * The language model, in the size {@code micro} or the base's.
	 * @param training sets how long and how it is trained
	 * @return this
	 */
	public CalmTraining languageModel(Consumer<TrainingOptions.Builder> training) {
		this.modelTraining = training;
		return this;
	}

	/**
	 * Sets the language model's shape and training.
	 * @param preset its size, see {@link CalmConfig#preset(String)}
	 * @param shape sets what differs from the preset
	 * @param training sets how long and how it is trained
	 * @return this
	 */
	public CalmTraining languageModel(String preset, Consumer<CalmConfig.Builder> shape,
			Consumer<TrainingOptions.Builder> training) {
		this.modelShape = new ModelShape(preset, shape);
		this.modelTraining = training;
		return this;
	}

	private record ModelShape(String preset, Consumer<CalmConfig.Builder> changes) {
	}

	/**
	 * A baseline Transformer, which predicts one token at a time, in place of autoencoder
	 * and CALM language model.
	 * @param preset its size, see {@link BackboneConfig#preset(String)}
	 * @param shape sets what differs from the preset
	 * @param training sets how long and how it is trained; its patches are tokens
	 * @return this
	 */
	public CalmTraining baseline(String preset, Consumer<BackboneConfig.Builder> shape,
			Consumer<TrainingOptions.Builder> training) {
		this.baseline = new Baseline(preset, shape, training);
		return this;
	}

	private record Baseline(String preset, Consumer<BackboneConfig.Builder> shape,
			Consumer<TrainingOptions.Builder> training) {
	}

	/**
	 * Device, precision and fusion.
	 * @param program fp32 with fusion on the device at hand by default
	 * @return this
	 */
	public CalmTraining program(ProgramOptions program) {
		this.program = program;
		return this;
	}

	/**
	 * Adds a listener that follows all phases of the training.
	 * @param listener follows both trainings
	 * @return this
	 */
	public CalmTraining listener(TrainingListener listener) {
		this.listeners.add(listener);
		return this;
	}

	/**
	 * The model directory to write.
	 * @param output must not exist yet
	 * @return this
	 */
	public CalmTraining output(Path output) {
		this.output = output;
		return this;
	}

	/**
	 * Keeps the tokens of corpus and evaluation text in a directory, so that each text is
	 * tokenized once: see {@link TokenCache}.
	 * @param directory made if need be; {@code tokens} beside the output by default
	 * @return this
	 */
	public CalmTraining tokens(Path directory) {
		this.tokens = directory;
		return this;
	}

	/**
	 * Writes further files into the model directory, beside the weights of every
	 * checkpoint.
	 * @param files writes them into the directory it is given; none by default
	 * @return this
	 */
	public CalmTraining files(Consumer<Path> files) {
		this.files = files;
		return this;
	}

	Path run() {
		Path target = target();
		Corpus text = text();
		try (OutputLock lock = OutputLock.of(target)) {
			refuseExisting(target);
			return train(text, target);
		}
	}

	TrainingTrial tryOut() {
		refuseExisting(target());
		Trained trained = trained();
		Tokenizer tokens = openTokenizer();
		try (TokenStore data = kept(text(), tokens)) {
			if (this.unseen != null) {
				kept(this.unseen, tokens).close();
			}
			return new TrainingTrial(data.documents(), data.tokens(), trained.tryOut().apply(tokens, data));
		}
		finally {
			closeTokenizer(tokens);
		}
	}

	private Path target() {
		return given("output", "name the model directory to write", this.output);
	}

	private Corpus text() {
		return given("corpus", "name the text to train on", this.corpus);
	}

	private TokenCache cache() {
		return TokenCache.in((this.tokens != null) ? this.tokens : target().resolveSibling(TOKENS));
	}

	/** Without keeping any that are not kept. */
	private TokenStore kept(Corpus text, Tokenizer tokens) {
		return cache().find(text, tokens).orElseGet(() -> TokenStore.of(text, tokens));
	}

	private void progress(long bytes, long ofBytes, long tokens) {
		this.listeners.forEach((listener) -> listener.onTokens(bytes, ofBytes, tokens));
	}

	private static void refuseExisting(Path target) {
		if (Files.exists(target)) {
			throw new InvalidInputException(target.toString(), "exists already",
					"give another output directory, or remove it");
		}
	}

	private Trained trained() {
		if (this.base != null) {
			Trained trained = fineTuned(this.base);
			this.tokenizerPath = this.base;
			return trained;
		}
		return (this.baseline != null) ? baseline(this.baseline) : calm();
	}

	private Tokenizer openTokenizer() {
		return (this.tokenizer != null) ? this.tokenizer : Tokenizer
			.load(given("tokenizer", "name a tokenizer.json, or use the ByteTokenizer", this.tokenizerPath));
	}

	private void closeTokenizer(Tokenizer tokens) {
		if (this.tokenizer == null) {
			tokens.close();
		}
	}

	/** What belongs to a model beside its weights. */
	private Consumer<Path> files(Tokenizer tokens) {
		return (directory) -> {
			tokens.save(directory);
			this.files.accept(directory);
		};
	}

	private Path train(Corpus text, Path target) {
		Trained trained = trained();
		Path work = Checkpoint.workOf(target);
		Tokenizer tokens = openTokenizer();
		try (TokenStore data = cache().get(text, tokens, this::progress);
				TokenStore held = (this.unseen != null) ? cache().get(this.unseen, tokens, this::progress) : null) {
			trained.train().run(tokens, data, held, work, target);
			delete(work);
			return target;
		}
		catch (RuntimeException ex) {
			deleteEmpty(work);
			if (ex.getCause() instanceof ClosedByInterruptException) {
				// not the file is to blame, which an interrupt has closed
				throw new TrainingException("The training was interrupted; its state is in " + work
						+ " and the same command goes on from there", ex);
			}
			throw ex;
		}
		finally {
			closeTokenizer(tokens);
		}
	}

	/** A training whose options are good: it makes a model directory, or is tried out. */
	private record Trained(Run train, BiFunction<Tokenizer, TokenStore, List<Trial>> tryOut) {
	}

	private interface Run {

		void run(Tokenizer tokens, TokenStore data, @Nullable TokenStore unseen, Path work, Path target);

	}

	private Trained calm() {
		CalmConfig.Builder model;
		if (this.modelShape != null) {
			model = CalmConfig.preset(this.modelShape.preset());
			this.modelShape.changes().accept(model);
		}
		else {
			model = CalmConfig.preset("micro");
		}
		TrainingOptions autoencoderOptions = options(
				(this.autoencoderTraining != null) ? this.autoencoderTraining : (training) -> {
				});
		TrainingOptions modelOptions = options(this.modelTraining);
		return new Trained((tokens, data, unseen, work, target) -> {
			AutoencoderConfig config = autoencoderConfig(tokens);
			// what cannot be a model is refused before its autoencoder is trained
			model.build(config);
			Path autoencoder = autoencoderTrainer(config, autoencoderOptions, unseen).train(data,
					work.resolve(ModelFiles.AUTOENCODER), files(tokens));
			Path languageModel = modelTrainer(model::build, modelOptions, unseen).train(autoencoder, data,
					work.resolve(LANGUAGE_MODEL), files(tokens));
			finish(languageModel, autoencoder, target);
		}, (tokens, data) -> {
			AutoencoderConfig config = autoencoderConfig(tokens);
			LanguageModelTrainer languageModel = modelTrainer(model::build, modelOptions, null);
			return List.of(autoencoderTrainer(config, autoencoderOptions, null).tryOut(data),
					languageModel.tryOut(config, data));
		});
	}

	private AutoencoderConfig autoencoderConfig(Tokenizer tokens) {
		AutoencoderConfig.Builder shape = AutoencoderConfig.builder(tokens.vocabularySize())
			.specialIds(tokens.padId(), tokens.bosId(), tokens.eosId());
		if (this.autoencoderShape != null) {
			this.autoencoderShape.accept(shape);
		}
		return shape.build();
	}

	private Trained fineTuned(Path directory) {
		refuseBeside("tokenizer", this.tokenizer != null || this.tokenizerPath != null);
		refuseBeside("baseline", this.baseline != null);
		refuseBeside("autoencoder's shape", this.autoencoderShape != null);
		refuseBeside("language model's shape", this.modelShape != null);
		ModelDirectory model = ModelDirectory.open(directory);
		CalmConfig config;
		try (TensorFile weights = model.weights()) {
			if (ModelKind.of(directory, weights) == ModelKind.BASELINE) {
				refuseBeside("autoencoder", this.autoencoderTraining != null);
				return fineTunedBaseline(model, ModelConfigs.baseline(model, weights));
			}
			config = ModelConfigs.calm(model, weights);
		}
		Path baseAutoencoder = model.autoencoder()
			.orElseThrow(() -> new InvalidInputException(directory.toString(), "has no directory autoencoder/",
					"put the directory of its autoencoder there"))
			.path();
		@Nullable TrainingOptions autoencoderOptions = (this.autoencoderTraining != null) ? options(this.autoencoderTraining)
				: null;
		TrainingOptions modelOptions = options(this.modelTraining);
		return new Trained((tokens, data, unseen, work, target) -> {
			ModelConfigs.checkVocabulary(model, tokens.vocabularySize());
			Path autoencoder = (autoencoderOptions == null) ? baseAutoencoder
					: autoencoderTrainer(ModelConfigs.autoencoder(ModelDirectory.open(baseAutoencoder)),
							autoencoderOptions, unseen)
						.fineTune(baseAutoencoder, data, work.resolve(ModelFiles.AUTOENCODER), files(tokens));
			Path languageModel = modelTrainer((shape) -> config, modelOptions, unseen).fineTune(directory, autoencoder,
					data, work.resolve(LANGUAGE_MODEL), files(tokens));
			finish(languageModel, autoencoder, target);
		}, (tokens, data) -> {
			ModelConfigs.checkVocabulary(model, tokens.vocabularySize());
			AutoencoderConfig shape = ModelConfigs.autoencoder(ModelDirectory.open(baseAutoencoder));
			List<Trial> trials = new ArrayList<>();
			if (autoencoderOptions != null) {
				trials.add(autoencoderTrainer(shape, autoencoderOptions, null).tryOut(data));
			}
			trials.add(modelTrainer((any) -> config, modelOptions, null).tryOut(shape, data));
			return trials;
		});
	}

	private Trained fineTunedBaseline(ModelDirectory model, BaselineConfig config) {
		TrainingOptions options = options(this.modelTraining);
		return new Trained((tokens, data, unseen, work, target) -> {
			ModelConfigs.checkVocabulary(model, tokens.vocabularySize());
			finish(baselineTrainer(config, options, unseen).fineTune(model.path(), data, work.resolve(BASELINE),
					files(tokens)), target);
		}, (tokens, data) -> {
			ModelConfigs.checkVocabulary(model, tokens.vocabularySize());
			return List.of(baselineTrainer(config, options, null).tryOut(data));
		});
	}

	private static void refuseBeside(String what, boolean given) {
		if (given) {
			throw new InvalidInputException("base", "is given, and so is the " + what,
					"leave the " + what + " out: it is the base's");
		}
	}

	private TrainingOptions options(Consumer<TrainingOptions.Builder> training) {
		TrainingOptions options = TrainingOptions.of(training);
		if (options.patience() > 0 && this.unseen == null) {
			throw new InvalidInputException("training, patience",
					"is " + options.patience() + ", but there is no text to evaluate on",
					"give evaluation text, or leave the patience out");
		}
		return options;
	}

	private AutoencoderTrainer autoencoderTrainer(AutoencoderConfig config, TrainingOptions options,
			@Nullable TokenStore unseen) {
		return new AutoencoderTrainer(config, options, this.program, this.listeners,
				(unseen != null) ? Evaluation.ofAutoencoder(unseen, this.program) : Evaluation.NONE);
	}

	private LanguageModelTrainer modelTrainer(Function<AutoencoderConfig, CalmConfig> config, TrainingOptions options,
			@Nullable TokenStore unseen) {
		Evaluation brierLm = (unseen != null) ? Evaluation.ofLanguageModel(unseen,
				new BrierLm(options.patches(), 2, EVALUATED_POSITIONS, 1), this.program) : Evaluation.NONE;
		return new LanguageModelTrainer(config, options, this.program, this.listeners, sampled(brierLm));
	}

	private void finish(Path languageModel, Path autoencoder, Path target) {
		ModelDirectory.write(target, (directory) -> {
			ModelDirectory.open(languageModel).copyTo(directory);
			this.files.accept(directory);
			ModelDirectory.open(autoencoder).copyTo(directory.resolve(ModelFiles.AUTOENCODER));
		});
	}

	private Trained baseline(Baseline chosen) {
		BackboneConfig.Builder shape = BackboneConfig.preset(chosen.preset());
		chosen.shape().accept(shape);
		BackboneConfig backbone = shape.build();
		TrainingOptions options = options(chosen.training());
		return new Trained(
				(tokens, data, unseen, work,
						target) -> finish(baselineTrainer(config(tokens, backbone), options, unseen).train(data,
								work.resolve(BASELINE), files(tokens)), target),
				(tokens, data) -> List.of(baselineTrainer(config(tokens, backbone), options, null).tryOut(data)));
	}

	private static BaselineConfig config(Tokenizer tokens, BackboneConfig backbone) {
		return new BaselineConfig(tokens.vocabularySize(), backbone, tokens.padId(), tokens.bosId(), tokens.eosId());
	}

	private BaselineTrainer baselineTrainer(BaselineConfig config, TrainingOptions options,
			@Nullable TokenStore unseen) {
		Evaluation likelihood = (unseen != null) ? Evaluation.ofBaseline(unseen,
				new LikelihoodScoring(Math.max(2, options.patches() / COMPARED_PATCH_SIZE), COMPARED_PATCH_SIZE, 2,
						EVALUATED_POSITIONS, 1),
				this.program) : Evaluation.NONE;
		return new BaselineTrainer(config, options, this.program, this.listeners, sampled(likelihood));
	}

	private void finish(Path baseline, Path target) {
		ModelDirectory.write(target, (directory) -> {
			ModelDirectory.open(baseline).copyTo(directory);
			this.files.accept(directory);
		});
	}

	private Evaluation sampled(Evaluation scored) {
		return this.prompts.isEmpty() ? scored : scored.withSamples(this::write);
	}

	/**
	 * All prompts side by side; the slots that a model in use would have are too many.
	 */
	private List<Sample> write(Path checkpoint) {
		try (GenerationEngine engine = GenerationEngine.open(checkpoint,
				(options) -> options.slots(Math.min(this.prompts.size(), SAMPLED_TOGETHER))
					.queue(this.prompts.size())
					.program(this.program.withFusion(false)))) {
			List<GenerationStream> streams = this.prompts.stream()
				.map((prompt) -> engine.generate(prompt, this.sampled))
				.toList();
			List<Sample> samples = new ArrayList<>();
			for (int i = 0; i < streams.size(); i++) {
				samples.add(new Sample(this.prompts.get(i), streams.get(i).text()));
			}
			return samples;
		}
		catch (CancellationException ex) {
			// the training is being interrupted, and has saved its state
			return List.of();
		}
	}

	private static <T> T given(String what, String action, @Nullable T value) {
		if (value == null) {
			throw new InvalidInputException(what, "is missing", action);
		}
		return value;
	}

	/** The parent of checkpoints of which not even the first could be written. */
	private static void deleteEmpty(Path directory) {
		try {
			if (Files.isDirectory(directory)) {
				Files.delete(directory);
			}
		}
		catch (IOException ex) {
			// it holds checkpoints, from which the training can go on
		}
	}

	private static void delete(Path directory) {
		try (Stream<Path> paths = Files.walk(directory)) {
			for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
				Files.delete(path);
			}
		}
		catch (IOException ex) {
			throw new InvalidInputException(directory.toString(),
					"cannot be deleted, though the model is finished (" + ex + ")", "delete it by hand", ex);
		}
	}

}

package io.calm;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.ModelDirectory;
import io.calm.evaluation.BrierLm;
import io.calm.evaluation.LikelihoodScoring;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.model.BackboneConfig;
import io.calm.model.BaselineConfig;
import io.calm.model.CalmConfig;
import io.calm.model.ModelFiles;
import io.calm.text.Corpus;
import io.calm.text.TokenStore;
import io.calm.text.Tokenizer;
import io.calm.training.AutoencoderTrainer;
import io.calm.training.BaselineTrainer;
import io.calm.training.Evaluation;
import io.calm.training.LanguageModelTrainer;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingOptions;
import org.jspecify.annotations.Nullable;

/**
 * A training from text to a model directory: tokens, autoencoder, language model, or a
 * baseline Transformer in place of the last two. Its checkpoints lie beside the output,
 * in a directory of its name with {@code .training} behind it, until the model is
 * finished.
 */
public final class CalmTraining {

	/** What an evaluation during a training looks at, for an error of a few per cent. */
	private static final long EVALUATED_POSITIONS = 16_384;

	/** K of the paper: a baseline is scored where such a model would be. */
	private static final int COMPARED_PATCH_SIZE = 4;

	private @Nullable Corpus corpus;

	private @Nullable Corpus unseen;

	private @Nullable Path tokenizerPath;

	private @Nullable Tokenizer tokenizer;

	private @Nullable Path output;

	private Consumer<AutoencoderConfig.Builder> autoencoderShape = (shape) -> {
	};

	private Consumer<TrainingOptions.Builder> autoencoderTraining = (training) -> {
	};

	private String preset = "micro";

	private Consumer<CalmConfig.Builder> modelShape = (shape) -> {
	};

	private Consumer<TrainingOptions.Builder> modelTraining = (training) -> {
	};

	private @Nullable Baseline baseline;

	private ProgramOptions program = ProgramOptions.DEFAULT.withFusion(true);

	private final List<TrainingListener> listeners = new ArrayList<>();

	CalmTraining() {
	}

	/**
	 * The text.
	 * @param paths files ({@code .txt}, {@code .jsonl}, {@code .gz} of both) or
	 * directories of them
	 * @return this
	 */
	public CalmTraining corpus(Path... paths) {
		return corpus(Corpus.of(paths));
	}

	/**
	 * The text.
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
	 * The tokenizer.
	 * @param path a {@code tokenizer.json}, or a directory with one
	 * @return this
	 */
	public CalmTraining tokenizer(Path path) {
		this.tokenizerPath = path;
		return this;
	}

	/**
	 * The tokenizer.
	 * @param tokenizer stays the caller's, who closes it
	 * @return this
	 */
	public CalmTraining tokenizer(Tokenizer tokenizer) {
		this.tokenizer = tokenizer;
		return this;
	}

	/**
	 * The autoencoder.
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
	 * The language model.
	 * @param preset its size, see {@link CalmConfig#preset(String)}
	 * @param shape sets what differs from the preset
	 * @param training sets how long and how it is trained
	 * @return this
	 */
	public CalmTraining languageModel(String preset, Consumer<CalmConfig.Builder> shape,
			Consumer<TrainingOptions.Builder> training) {
		this.preset = preset;
		this.modelShape = shape;
		this.modelTraining = training;
		return this;
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
	 * Adds a listener.
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

	Path run() {
		Path target = given("output", "name the model directory to write", this.output);
		Corpus text = given("corpus", "name the text to train on", this.corpus);
		if (Files.exists(target)) {
			throw new InvalidInputException(target.toString(), "exists already",
					"give another output directory, or remove it");
		}
		Trained trained = (this.baseline != null) ? baseline(this.baseline) : calm();
		Path work = target.resolveSibling(target.getFileName() + ".training");
		Tokenizer tokens = (this.tokenizer != null) ? this.tokenizer : Tokenizer
			.load(given("tokenizer", "name a tokenizer.json, or use the ByteTokenizer", this.tokenizerPath));
		try (TokenStore data = TokenStore.of(text, tokens);
				TokenStore held = (this.unseen != null) ? TokenStore.of(this.unseen, tokens) : null) {
			trained.train(tokens, data, held, work, target);
			delete(work);
			return target;
		}
		catch (RuntimeException ex) {
			deleteEmpty(work);
			throw ex;
		}
		finally {
			if (this.tokenizer == null) {
				tokens.close();
			}
		}
	}

	/** A training whose options are good: it makes a model directory. */
	private interface Trained {

		void train(Tokenizer tokens, TokenStore data, @Nullable TokenStore unseen, Path work, Path target);

	}

	private Trained calm() {
		CalmConfig.Builder model = CalmConfig.preset(this.preset);
		this.modelShape.accept(model);
		TrainingOptions autoencoderOptions = TrainingOptions.of(this.autoencoderTraining);
		TrainingOptions modelOptions = TrainingOptions.of(this.modelTraining);
		return (tokens, data, unseen, work, target) -> {
			AutoencoderConfig.Builder shape = AutoencoderConfig.builder(tokens.vocabularySize())
				.specialIds(tokens.padId(), tokens.bosId(), tokens.eosId());
			this.autoencoderShape.accept(shape);
			AutoencoderConfig autoencoderConfig = shape.build();
			// what cannot be a model is refused before its autoencoder is trained
			model.build(autoencoderConfig);
			Path autoencoder = work.resolve("autoencoder");
			Path languageModel = work.resolve("language-model");
			Evaluation accuracy = (unseen != null) ? Evaluation.ofAutoencoder(unseen, this.program) : Evaluation.NONE;
			Evaluation brierLm = (unseen != null) ? Evaluation.ofLanguageModel(unseen,
					new BrierLm(modelOptions.patches(), 2, EVALUATED_POSITIONS, 1), this.program) : Evaluation.NONE;
			new AutoencoderTrainer(autoencoderConfig, autoencoderOptions, this.program, this.listeners, accuracy)
				.train(data, autoencoder, tokens::save);
			new LanguageModelTrainer(model, modelOptions, this.program, this.listeners, brierLm).train(autoencoder,
					data, languageModel, tokens::save);
			ModelDirectory.write(target, (directory) -> {
				copyModel(languageModel, directory);
				copyModel(autoencoder, directory.resolve(ModelFiles.AUTOENCODER));
			});
		};
	}

	private Trained baseline(Baseline chosen) {
		BackboneConfig.Builder shape = BackboneConfig.preset(chosen.preset());
		chosen.shape().accept(shape);
		BackboneConfig backbone = shape.build();
		TrainingOptions options = TrainingOptions.of(chosen.training());
		return (tokens, data, unseen, work, target) -> {
			BaselineConfig config = new BaselineConfig(tokens.vocabularySize(), backbone, tokens.padId(),
					tokens.bosId(), tokens.eosId());
			Evaluation likelihood = (unseen != null)
					? Evaluation
						.ofBaseline(unseen,
								new LikelihoodScoring(Math.max(2, options.patches() / COMPARED_PATCH_SIZE),
										COMPARED_PATCH_SIZE, 2, EVALUATED_POSITIONS, 1),
								this.program)
					: Evaluation.NONE;
			Path directory = work.resolve("baseline");
			new BaselineTrainer(config, options, this.program, this.listeners, likelihood).train(data, directory,
					tokens::save);
			ModelDirectory.write(target, (model) -> copyModel(directory, model));
		};
	}

	private static <T> T given(String what, String action, @Nullable T value) {
		if (value == null) {
			throw new InvalidInputException(what, "is missing", action);
		}
		return value;
	}

	/** Without the optimiser's state. */
	private static void copyModel(Path from, Path to) {
		try {
			Files.createDirectories(to);
			for (String file : List.of(ModelFiles.CONFIG, ModelFiles.WEIGHTS, "tokenizer.json",
					"tokenizer_config.json")) {
				Files.copy(from.resolve(file), to.resolve(file));
			}
		}
		catch (IOException ex) {
			throw new InvalidInputException(to.toString(), "cannot be written from " + from + " (" + ex + ")",
					"check the free space and the permissions there, and start the same training again", ex);
		}
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

package io.calm;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.cluster.LostWorkerException;
import io.calm.cluster.Workers;
import io.calm.generation.GenerationRequest;
import io.calm.graph.LowRank;
import io.calm.graph.Precision;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.model.BackboneConfig;
import io.calm.model.CalmConfig;
import io.calm.text.Corpus;
import io.calm.text.TokenCache;
import io.calm.text.Tokenizer;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingOptions;
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

	@Nullable Corpus corpus;

	@Nullable Corpus unseen;

	List<String> prompts = List.of();

	Consumer<GenerationRequest.Builder> sampled = (request) -> {
	};

	@Nullable Path tokenizerPath;

	@Nullable Tokenizer tokenizer;

	@Nullable Path output;

	@Nullable Path tokens;

	@Nullable Path trace;

	@Nullable Path base;

	@Nullable Path llama;

	@Nullable LowRank lowRank;

	@Nullable Consumer<AutoencoderConfig.Builder> autoencoderShape;

	@Nullable Consumer<TrainingOptions.Builder> autoencoderTraining;

	@Nullable ModelShape modelShape;

	Consumer<TrainingOptions.Builder> modelTraining = (training) -> {
	};

	@Nullable Baseline baseline;

	ProgramOptions program = ProgramOptions.DEFAULT.withFusion(true);

	Consumer<Path> files = (directory) -> {
	};

	@Nullable Workers workers;

	Precision reductionPrecision = Precision.FP32;

	Duration joinTimeout = Duration.ofMinutes(10);

	Duration workerTimeout = Duration.ofSeconds(30);

	Consumer<LostWorkerException> onLostWorker = (ex) -> {
	};

	final List<TrainingListener> listeners = new ArrayList<>();

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
	 * Trains a low-rank adaptation (LoRA) of the {@link #base} in place of its weights,
	 * which takes much less memory. The output is an adapter in the layout of PEFT, which
	 * is opened like a model as long as its base stays where it is, and with
	 * {@link Calm#merge} becomes a model of its own. The base's autoencoder stays as it
	 * is.
	 * @param rank of the product that is added to each linear map of the backbone, such
	 * as 8
	 * @param alpha how much it counts: it is multiplied with alpha/rank
	 * @return this
	 */
	public CalmTraining lowRank(int rank, double alpha) {
		this.lowRank = new LowRank(rank, alpha);
		return this;
	}

	/**
	 * A pretrained Llama to begin with: the language model gets its backbone and its
	 * embeddings of tokens, with its tokenizer unless another is set. Autoencoder, patch
	 * embedding and head are new. {@link TrainingOptions.Builder#backboneRate} keeps the
	 * backbone as it is at first, and lets it learn more slowly afterwards.
	 * @param directory of a Llama-like model
	 * @return this
	 * @see io.calm.model.WarmStart
	 */
	public CalmTraining warmStart(Path directory) {
		this.llama = directory;
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
	 * Sets the language model's shape and training; its size is {@code micro}, or that of
	 * the Llama it begins with.
	 * @param shape sets what differs from that
	 * @param training sets how long and how it is trained
	 * @return this
	 */
	public CalmTraining languageModel(Consumer<CalmConfig.Builder> shape, Consumer<TrainingOptions.Builder> training) {
		this.modelShape = new ModelShape(null, shape);
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

	record ModelShape(@Nullable String preset, Consumer<CalmConfig.Builder> changes) {
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

	record Baseline(String preset, Consumer<BackboneConfig.Builder> shape, Consumer<TrainingOptions.Builder> training) {
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
	 * Adds a listener that follows the training from its beginning to its end.
	 * @param listener is told of each phase, and of the whole
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
	 * Records three steps of each phase, once kernels are compiled: which operation
	 * TensorFlow computed when. Of several workers, the first one does.
	 * @param file to be opened in {@code chrome://tracing} or Perfetto; replaced if it
	 * exists
	 * @return this
	 */
	public CalmTraining trace(Path file) {
		this.trace = file;
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

	/**
	 * Shares each step with other workers, each of which calls this with the same
	 * settings and its own index. All need the same output directory, on a volume that
	 * they share. The first one writes it, evaluates, and tells listeners.
	 * @param workers who they are; those of the environment variable {@code TF_CONFIG} by
	 * default, and without it, this process alone
	 * @return this
	 */
	public CalmTraining workers(Workers workers) {
		this.workers = workers;
		return this;
	}

	/**
	 * Sets the number format in which several workers send each other their gradients.
	 * With bf16 they send half the bytes, and each gradient is rounded to 8 bits before
	 * it is added up and after. Losses, norms, weights and updates stay fp32.
	 * @param precision fp32 by default, or bf16; the same for all workers
	 * @return this
	 * @throws InvalidInputException if it is auto
	 */
	public CalmTraining reductionPrecision(Precision precision) {
		if (precision == Precision.AUTO) {
			throw new InvalidInputException("reduction precision", "is auto", "choose fp32 or bf16");
		}
		this.reductionPrecision = precision;
		return this;
	}

	/**
	 * Sets how long workers wait for one that comes late.
	 * @param timeout 10 minutes by default
	 * @return this
	 */
	public CalmTraining joinTimeout(Duration timeout) {
		this.joinTimeout = timeout;
		return this;
	}

	/**
	 * Sets after what time a worker that does not answer is lost. However long a step
	 * takes, a worker answers all the time.
	 * @param timeout 30 seconds by default
	 * @return this
	 */
	public CalmTraining workerTimeout(Duration timeout) {
		this.workerTimeout = timeout;
		return this;
	}

	/**
	 * Is called if another worker is lost and the training does not end by itself within
	 * 15 seconds, because it is in the middle of a long step or evaluation. By default it
	 * ends after that, with the same exception.
	 * @param action may end the process
	 * @return this
	 */
	public CalmTraining onLostWorker(Consumer<LostWorkerException> action) {
		this.onLostWorker = action;
		return this;
	}

}

package io.calm;

import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

import io.calm.checkpoint.ModelDirectory;
import io.calm.evaluation.ContinuationScore;
import io.calm.evaluation.ContinuationScoring;
import io.calm.generation.GenerationEngine;
import io.calm.graph.ProgramOptions;
import io.calm.hub.Hub;
import io.calm.training.Phase;

/**
 * Continuous autoregressive language models (Shao et al., arXiv 2510.27688) in a few
 * lines:
 *
 * <pre>{@code
 * try (GenerationEngine model = Calm.train((t) -> t.corpus(Path.of("tickets.jsonl"))
 *     .tokenizer(Path.of("tokenizer.json"))
 *     .autoencoder((shape) -> shape.latentSize(128), (training) -> training.steps(2_000))
 *     .languageModel("micro", (shape) -> shape.samples(8), (training) -> training.steps(5_000))
 *     .output(Path.of("model")))) {
 *   String text = model.generate("The customer reports", (g) -> g.temperature(0.5).maxNewTokens(64)).text();
 * }
 * }</pre>
 */
public final class Calm {

	private Calm() {
	}

	/**
	 * Trains autoencoder and language model, or a baseline, writes the model directory
	 * and opens it. A training that was interrupted goes on where its last checkpoint is.
	 * One that {@linkplain io.calm.training.TrainingOptions#pauseAfter() pauses} writes
	 * no model directory yet.
	 * @param training sets corpus, tokenizer, shapes, output and what differs from the
	 * defaults
	 * @return the model, or what it is when the training pauses; close it
	 */
	public static GenerationEngine train(Consumer<CalmTraining> training) {
		CalmTraining options = new CalmTraining();
		training.accept(options);
		return open(TrainingRun.train(options));
	}

	/**
	 * Tries a training out: checks its options, reads its text, and does a few steps of
	 * each phase. Nothing is written.
	 * @param training as for {@link #train}
	 * @return sizes and times
	 * @throws io.calm.input.InvalidInputException if the training would be refused
	 */
	public static TrainingTrial tryOut(Consumer<CalmTraining> training) {
		CalmTraining options = new CalmTraining();
		training.accept(options);
		return TrainingRun.tryOut(options);
	}

	/**
	 * Counts what the steps of a training cost. Nothing is trained, and no text is read.
	 * @param training as for {@link #train}
	 * @return additions and multiplications of matrix products in a step of each phase;
	 * of autoencoder and language model, or of a baseline
	 * @throws io.calm.input.InvalidInputException if options or shapes do not fit
	 * @see io.calm.model.Flops
	 */
	public static Map<Phase, Double> flopsPerStep(Consumer<CalmTraining> training) {
		CalmTraining options = new CalmTraining();
		training.accept(options);
		return TrainingRun.flopsPerStep(options);
	}

	/**
	 * Fetches a model directory from Hugging Face, or the hub that the environment names,
	 * into the cache that Python uses too. What is there is not fetched again.
	 * @param model {@code hf:OWNER/NAME} or {@code hf:OWNER/NAME@REVISION}
	 * @return the directory, for {@link #open} and {@link CalmTraining#base}
	 * @throws io.calm.input.InvalidInputException if the hub does not give it away
	 * @see Hub#ofEnvironment()
	 */
	public static Path pull(String model) {
		return pull(model, (parts) -> {
		});
	}

	/**
	 * Fetches a model whose parts are in several repositories, and puts them together:
	 *
	 * <pre>{@code
	 * Path model = Calm.pull("hf:OWNER/MODEL",
	 *     (parts) -> parts.autoencoder("hf:OWNER/AUTOENCODER").tokenizer("hf:OWNER/TOKENIZER"));
	 * }</pre>
	 *
	 * Parts that do not fit are refused. What is there is not fetched again.
	 * @param model {@code hf:OWNER/NAME} or {@code hf:OWNER/NAME@REVISION}
	 * @param parts names the repositories of the parts, and what differs from the
	 * defaults
	 * @return the directory, for {@link #open} and {@link CalmTraining#base}
	 * @throws io.calm.input.InvalidInputException if the hub does not give a part away,
	 * or one does not fit
	 */
	public static Path pull(String model, Consumer<CalmPull> parts) {
		CalmPull pull = new CalmPull(model);
		parts.accept(pull);
		return pull.run();
	}

	/**
	 * Makes a model of an adapter and its base.
	 * @param adapter its directory, written by a training with
	 * {@link CalmTraining#lowRank} or by PEFT
	 * @param output the model directory to write, in fp32; must not exist yet
	 * @throws io.calm.input.InvalidInputException if it is no adapter, its base is not
	 * there, or the output exists
	 */
	public static void merge(Path adapter, Path output) {
		TrainingRun.refuseExisting(output);
		ModelDirectory model = ModelDirectory.open(adapter);
		ModelDirectory.write(output, model::mergeTo);
	}

	/**
	 * Tells how well texts continue a prompt, with 100 draws for each patch, in fp32 on
	 * the device at hand: to look at a text, or to choose among several.
	 * @param directory of a CALM language model, with its tokenizer
	 * @param prompt the beginning that all texts have; may be empty
	 * @param texts that could follow it, each to its end
	 * @return a score for each text; higher is better
	 * @throws io.calm.input.InvalidInputException if it is a model of another kind, or a
	 * text is empty or longer than the model's context
	 * @see ContinuationScoring
	 */
	public static List<ContinuationScore> score(Path directory, String prompt, List<String> texts) {
		return new ContinuationScoring(100, true, 1).score(directory, prompt, texts, ProgramOptions.DEFAULT);
	}

	/**
	 * Opens a model directory with a context of 512 patches (tokens for a baseline), in
	 * fp32 on the device at hand.
	 * @param directory of a language model, CALM or baseline, with its tokenizer
	 * @return the model; close it
	 */
	public static GenerationEngine open(Path directory) {
		return GenerationEngine.open(directory, (options) -> {
		});
	}

}

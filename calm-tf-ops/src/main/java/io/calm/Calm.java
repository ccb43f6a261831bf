package io.calm;

import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

import io.calm.generation.GenerationEngine;
import io.calm.hub.Hub;
import io.calm.hub.ModelName;

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
	 * @param training sets corpus, tokenizer, shapes, output and what differs from the
	 * defaults
	 * @return the model; close it
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
	 * Fetches a model directory from Hugging Face, or the hub that the environment names,
	 * into the cache that Python uses too. What is there is not fetched again.
	 * @param model {@code hf:OWNER/NAME} or {@code hf:OWNER/NAME@REVISION}
	 * @return the directory, for {@link #open} and {@link CalmTraining#base}
	 * @throws io.calm.input.InvalidInputException if the hub does not give it away
	 * @see Hub#ofEnvironment()
	 */
	public static Path pull(String model) {
		return Hub.ofEnvironment().pull(ModelName.of(model), List.of(), (file, bytes, size) -> {
		});
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

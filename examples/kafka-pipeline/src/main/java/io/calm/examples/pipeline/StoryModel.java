package io.calm.examples.pipeline;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;

import io.calm.Calm;
import io.calm.examples.quickstart.StoryCorpus;
import io.calm.text.Corpus;
import io.calm.text.Tokenizer;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingListener;

/**
 * A small model that tells children's stories, trained on those of the quickstart.
 */
final class StoryModel {

	private static final int CORPUS_BYTES = 2 << 20;

	private static final int VOCABULARY = 1024;

	private StoryModel() {
	}

	/**
	 * The model directory of an earlier start, or that of the quickstart, or a new one.
	 * @param parent of the model directory
	 * @return the model directory
	 */
	static Path findOrTrain(Path parent) {
		Path own = parent.resolve("pipeline-model");
		Path quickstart = parent.resolve("quickstart-model");
		if (!Files.exists(own) && Files.exists(quickstart)) {
			return quickstart;
		}
		if (!Files.exists(own)) {
			train(own, 1000, 1500, new PrintStream(System.out, true, StandardCharsets.UTF_8));
		}
		return own;
	}

	/**
	 * Trains a model. Interrupted, it goes on at its last checkpoint when it is started
	 * again.
	 */
	static void train(Path output, long autoencoderSteps, long steps, PrintStream out) {
		out.println();
		out.println("  There is no model yet: one is trained on made-up stories, which takes some minutes.");
		out.println("  After an interruption, the same command goes on where it was.");
		out.println();
		Path stories = output.resolveSibling(output.getFileName() + "-corpus.jsonl");
		StoryCorpus.write(stories, CORPUS_BYTES, 1);
		Corpus corpus = Corpus.of(stories);
		try (Tokenizer tokenizer = Tokenizer.train(corpus, VOCABULARY)) {
			Calm.train((training) -> training.corpus(corpus)
				.tokenizer(tokenizer)
				.autoencoder((shape) -> shape.patchSize(4).latentSize(64).hiddenSize(128).intermediateSize(320),
						(options) -> options.steps(autoencoderSteps)
							.batch(16)
							.patches(64)
							.learningRate(2e-3)
							.checkpointEvery(100))
				.languageModel("nano", (shape) -> shape.samples(8).targets(32),
						(options) -> options.steps(steps)
							.batch(8)
							.patches(64)
							.learningRate(2e-3)
							.averaging(0.99)
							.checkpointEvery(100))
				.listener(new Progress(out))
				.output(output)).close();
		}
	}

	/** One line for each phase, drawn again and again. */
	private record Progress(PrintStream out) implements TrainingListener {

		@Override
		public void onStep(StepMetrics step) {
			long done = 30 * step.step() / step.steps();
			this.out.printf(Locale.ROOT, "\r  %-15s [%s%s] %d/%d  loss %.3f  %,.0f tokens/s   ", step.phase(),
					"#".repeat((int) done), ".".repeat((int) (30 - done)), step.step(), step.steps(), step.loss(),
					step.tokensPerSecond());
		}

		@Override
		public void onEnd(String phase, long step) {
			this.out.println();
		}

	}

}

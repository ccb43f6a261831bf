package io.calm.examples.pipeline;

import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

import io.calm.Calm;
import io.calm.examples.quickstart.Progress;
import io.calm.examples.quickstart.StoryCorpus;
import io.calm.graph.ProgramOptions;
import io.calm.text.Corpus;
import io.calm.text.Tokenizer;

/**
 * A small model that tells children's stories, trained on those of the quickstart.
 *
 * @param corpusBytes how much it reads
 * @param vocabulary tokens of its tokenizer
 * @param autoencoderSteps of the first phase
 * @param steps of the second
 * @param program how it is computed
 */
record StoryModel(int corpusBytes, int vocabulary, long autoencoderSteps, long steps, ProgramOptions program) {

	/** Some minutes on two cores. */
	static final StoryModel DEFAULT = new StoryModel(2 << 20, 1024, 1000, 1500,
			ProgramOptions.DEFAULT.withFusion(true));

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
			DEFAULT.train(own, new PrintStream(System.out, true, StandardCharsets.UTF_8));
		}
		return own;
	}

	/**
	 * Trains a model. Interrupted, it goes on at its last checkpoint when it is started
	 * again.
	 */
	void train(Path output, PrintStream out) {
		out.println();
		out.println("  There is no model yet: one is trained on made-up stories, which takes some minutes.");
		out.println("  After an interruption, the same command goes on where it was.");
		out.println();
		Path stories = output.resolveSibling(output.getFileName() + "-corpus.jsonl");
		StoryCorpus.write(stories, this.corpusBytes, 1);
		Corpus corpus = Corpus.of(stories);
		try (Tokenizer tokenizer = Tokenizer.train(corpus, this.vocabulary)) {
			Calm.train((training) -> training.corpus(corpus)
				.tokenizer(tokenizer)
				.autoencoder((shape) -> shape.patchSize(4).latentSize(64).hiddenSize(128).intermediateSize(320),
						(options) -> options.steps(this.autoencoderSteps)
							.batch(16)
							.patches(64)
							.learningRate(2e-3)
							.checkpointEvery(100))
				.languageModel("nano", (shape) -> shape.samples(4).targets(32),
						(options) -> options.steps(this.steps)
							.batch(8)
							.patches(64)
							.learningRate(2e-3)
							.averaging(0.99)
							.checkpointEvery(100))
				.program(this.program)
				.listener(new Progress(out))
				.output(output)).close();
		}
	}

}

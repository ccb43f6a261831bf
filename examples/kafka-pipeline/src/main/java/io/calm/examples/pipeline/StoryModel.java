package io.calm.examples.pipeline;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

import io.calm.Calm;
import io.calm.examples.quickstart.Quickstart;
import io.calm.examples.quickstart.StoryCorpus;
import io.calm.graph.ProgramOptions;
import io.calm.text.Corpus;
import io.calm.text.Tokenizer;
import io.calm.training.TrainingListener;

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

	/** Texts that show how far the training is. */
	private static final String PROMPT = "Once upon a time,";

	private static final int SAMPLE_TOKENS = 80;

	private static final int UNSEEN_SHARE = 8;

	/**
	 * The model directory of an earlier start, or that of the quickstart, or the one to
	 * be made.
	 * @param parent of the model directory
	 * @return the model directory, which may not be there yet
	 */
	static Path find(Path parent) {
		Path own = parent.resolve("pipeline-model");
		Path quickstart = parent.resolve("quickstart-model");
		return (!Files.exists(own) && Files.exists(quickstart)) ? quickstart : own;
	}

	/**
	 * Trains a model. Interrupted, it goes on at its last checkpoint when it is started
	 * again.
	 * @param output the model directory
	 * @param listeners follow the training
	 */
	void train(Path output, TrainingListener... listeners) {
		Path stories = output.resolveSibling(output.getFileName() + "-corpus.jsonl");
		Path unseen = output.resolveSibling(output.getFileName() + "-unseen.jsonl");
		StoryCorpus.write(stories, this.corpusBytes, 1);
		StoryCorpus.write(unseen, this.corpusBytes / UNSEEN_SHARE, 2);
		Corpus corpus = Corpus.of(stories);
		try (Tokenizer tokenizer = Tokenizer.train(corpus, this.vocabulary)) {
			Calm.train((training) -> {
				Quickstart.small(training, this.autoencoderSteps, this.steps, Math.max(1, this.steps / 3))
					.corpus(corpus)
					.evaluation(Corpus.of(unseen))
					.samples(List.of(PROMPT), (request) -> request.temperature(0.3).maxNewTokens(SAMPLE_TOKENS))
					.tokenizer(tokenizer)
					.program(this.program)
					.output(output);
				for (TrainingListener listener : listeners) {
					training.listener(listener);
				}
			}).close();
		}
	}

}

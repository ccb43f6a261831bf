package io.calm.examples.finetune;

import java.nio.file.Path;

import io.calm.Calm;
import io.calm.examples.quickstart.StoryCorpus;
import io.calm.graph.ProgramOptions;
import io.calm.text.Corpus;
import io.calm.text.Tokenizer;

/** What the quickstart makes, as small as it can be. */
final class TinyBase {

	private TinyBase() {
	}

	static Path train(Path directory) {
		Path stories = directory.resolve("stories.jsonl");
		StoryCorpus.write(stories, 200_000, 1);
		Path output = directory.resolve("base");
		try (Tokenizer tokenizer = Tokenizer.train(Corpus.of(stories), 400)) {
			Calm.train((training) -> training.corpus(stories)
				.tokenizer(tokenizer)
				.autoencoder((shape) -> shape.hiddenSize(64).intermediateSize(128).latentSize(32),
						(options) -> options.steps(200).batch(8).patches(32).learningRate(3e-3).warmup(10))
				.languageModel("nano",
						(shape) -> shape.hiddenSize(64).layers(1).heads(2).noiseSize(16).samples(4).targets(8),
						(options) -> options.steps(50).batch(8).patches(32).learningRate(3e-3).warmup(10))
				.program(ProgramOptions.DEFAULT)
				.output(output)).close();
		}
		return output;
	}

}

package io.calm.examples.quickstart;

import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;

import io.calm.Calm;
import io.calm.graph.ProgramOptions;
import io.calm.text.ByteTokenizer;
import io.calm.text.Corpus;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.entry;

class StoryRetrievalTest {

	/**
	 * An autoencoder that has learned nearly nothing: its vectors still say which tokens
	 * a text has.
	 */
	@Test
	void bothWaysFindWhatIsAlike(@TempDir Path directory) {
		Path corpus = directory.resolve("corpus.jsonl");
		StoryCorpus.write(corpus, 1 << 14, 1);
		Path model = directory.resolve("model");
		Calm.train((training) -> training.corpus(Corpus.of(corpus))
			.tokenizer(new ByteTokenizer())
			.autoencoder((shape) -> shape.patchSize(4).hiddenSize(16).latentSize(16).layers(2),
					(options) -> options.steps(2).batch(2).patches(8))
			.languageModel("nano", (shape) -> shape.hiddenSize(32).layers(1).heads(2).noiseSize(8).targets(4),
					(options) -> options.steps(2).batch(2).patches(8))
			.program(ProgramOptions.DEFAULT)
			.output(model)).close();
		List<String> stories = Stream.of("aaaa", "oooo", "rrrr", "wwww")
			.map((word) -> String.join(" ", Collections.nCopies(3, word + word + ".")))
			.toList();
		assertThat(StoryRetrieval.shares(model, stories)).containsOnly(
				entry("bag of words, the rest of the story", 1.0), entry("bag of words, whole story", 1.0),
				entry("vectors, the rest of the story", 1.0), entry("vectors, whole story", 1.0));
	}

}

package io.calm.examples.pipeline;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

import io.calm.Calm;
import io.calm.graph.ProgramOptions;
import io.calm.text.ByteTokenizer;

/**
 * Real models of the smallest sizes, trained for a few steps: what they say is noise.
 */
final class TinyModel {

	private TinyModel() {
	}

	/**
	 * A model whose patches have K tokens of one byte. No token leads: drawn from noise,
	 * one would soon be EOS, and no text long enough to cancel it.
	 */
	static Path train(Path parent, int patchSize) {
		try {
			Path corpus = Files.writeString(parent.resolve("corpus.txt"),
					"One fish. Two fish. Red fish. Blue fish.\n".repeat(50));
			Path output = parent.resolve("k" + patchSize);
			Calm.train((training) -> training.corpus(corpus)
				.tokenizer(new ByteTokenizer())
				.autoencoder((shape) -> shape.patchSize(patchSize).hiddenSize(16).latentSize(8).layers(2),
						(options) -> options.steps(2).batch(2).patches(8))
				.languageModel("nano",
						(shape) -> shape.hiddenSize(32).layers(1).heads(2).noiseSize(8).targets(4).leadTokens(0),
						(options) -> options.steps(2).batch(2).patches(8))
				// without fusion, whose compilation takes longer than all the rest
				.program(ProgramOptions.DEFAULT)
				.output(output)).close();
			return output;
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

}

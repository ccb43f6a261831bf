package io.calm.streaming;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;

import io.calm.Calm;
import io.calm.graph.ProgramOptions;
import io.calm.text.ByteTokenizer;

import org.springframework.util.FileSystemUtils;

/**
 * A real model of the smallest sizes, trained for a few steps: what it says is noise, but
 * everything around it is as with a large one. A patch has 4 tokens of one byte. No token
 * leads: drawn from noise, one would soon be EOS, and no text long enough to cancel it.
 */
public final class TinyModel {

	private static final Path DIRECTORY = trained();

	private TinyModel() {
	}

	/** The model's directory, which no test may change. */
	public static Path directory() {
		return DIRECTORY;
	}

	private static Path trained() {
		try {
			Path temporary = Files.createTempDirectory("calm-streaming-tests-");
			Runtime.getRuntime().addShutdownHook(new Thread(() -> delete(temporary)));
			Path corpus = Files.writeString(temporary.resolve("corpus.txt"),
					"One fish. Two fish. Red fish. Blue fish.\n".repeat(50));
			Path output = temporary.resolve("tiny");
			Calm.train((training) -> training.corpus(corpus)
				.tokenizer(new ByteTokenizer())
				.autoencoder((shape) -> shape.patchSize(4).hiddenSize(16).latentSize(8).layers(2),
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

	private static void delete(Path directory) {
		try {
			FileSystemUtils.deleteRecursively(directory);
		}
		catch (IOException ex) {
			// the system cleans its temporary directory
		}
	}

}

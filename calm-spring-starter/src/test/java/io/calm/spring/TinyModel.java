package io.calm.spring;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Consumer;

import io.calm.Calm;
import io.calm.CalmTraining;
import io.calm.graph.ProgramOptions;
import io.calm.text.ByteTokenizer;

import org.springframework.util.FileSystemUtils;

/**
 * A real model of the smallest sizes, trained for a few steps: what it says is noise, but
 * everything around it is as with a large one. No token leads: drawn from noise, one
 * would soon be EOS, and no text long enough to cancel it.
 */
public final class TinyModel {

	static final int PATCH_SIZE = 4;

	private static final Path TEMPORARY = temporary();

	private static final Path DIRECTORY = trained("tiny");

	private TinyModel() {
	}

	/**
	 * The model's directory, which no test may change.
	 * @return where it is
	 */
	public static Path directory() {
		return DIRECTORY;
	}

	/** A copy that the caller may change. */
	static Path copyTo(Path directory) throws IOException {
		FileSystemUtils.copyRecursively(DIRECTORY, directory);
		return directory;
	}

	/** What makes such a model of an empty training. */
	static Consumer<CalmTraining> training(Path output) {
		Path corpus = output.resolveSibling(output.getFileName() + ".txt");
		try {
			Files.writeString(corpus, "One fish. Two fish. Red fish. Blue fish.\n".repeat(50));
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		return (training) -> training.corpus(corpus)
			.tokenizer(new ByteTokenizer())
			.autoencoder((shape) -> shape.patchSize(PATCH_SIZE).hiddenSize(16).latentSize(8).layers(2),
					(options) -> options.steps(2).batch(2).patches(8))
			.languageModel("nano",
					(shape) -> shape.hiddenSize(32).layers(1).heads(2).noiseSize(8).targets(4).leadTokens(0),
					(options) -> options.steps(2).batch(2).patches(8))
			// without fusion, whose compilation takes longer than all the rest
			.program(ProgramOptions.DEFAULT)
			.output(output);
	}

	private static Path trained(String name) {
		Path output = TEMPORARY.resolve(name);
		Calm.train(training(output)).close();
		return output;
	}

	private static Path temporary() {
		try {
			Path directory = Files.createTempDirectory("calm-spring-tests-");
			Runtime.getRuntime().addShutdownHook(new Thread(() -> {
				try {
					FileSystemUtils.deleteRecursively(directory);
				}
				catch (IOException ex) {
					// the system cleans its temporary directory
				}
			}));
			return directory;
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

}

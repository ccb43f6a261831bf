package io.calm.examples.quickstart;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;

import io.calm.Calm;
import io.calm.CalmTraining;
import io.calm.generation.GenerationEngine;
import io.calm.input.InvalidInputException;
import io.calm.mlflow.MlflowListener;
import io.calm.text.Corpus;
import io.calm.text.Tokenizer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/**
 * From nothing to a model that tells stories: makes a corpus, learns a tokenizer, trains
 * an autoencoder and a language model, and lets the model speak. With {@code --corpus} it
 * does the same on one's own text.
 */
@Command(name = "quickstart", mixinStandardHelpOptions = true,
		description = "Trains a small model on generated stories, or on your text, and shows what it writes.")
public final class Quickstart implements Callable<Integer> {

	private static final int CORPUS_BYTES = 2 << 20;

	private static final int UNSEEN_BYTES = 1 << 18;

	@Option(names = "--corpus", paramLabel = "PATH",
			description = "Your text: .txt, .jsonl, both also as .gz or .zst, .parquet, or a directory of them (default: "
					+ "generated stories).")
	private @Nullable Path corpus;

	@Option(names = "--unseen", paramLabel = "PATH",
			description = "Your text to score the model on (default: the corpus itself, which flatters).")
	private @Nullable Path unseen;

	@Option(names = "--tokenizer", paramLabel = "FILE",
			description = "A tokenizer.json (default: one is learned from the corpus).")
	private @Nullable Path tokenizer;

	@Option(names = "--vocabulary", defaultValue = "1024",
			description = "Tokens of the tokenizer that is learned (default: ${DEFAULT-VALUE}).")
	private int vocabulary;

	@Option(names = "--output", defaultValue = "quickstart-model", paramLabel = "DIR",
			description = "The model directory (default: ${DEFAULT-VALUE}).")
	private Path output = Path.of("quickstart-model");

	@Option(names = "--autoencoder-steps", defaultValue = "500", description = "Default: ${DEFAULT-VALUE}.")
	private long autoencoderSteps;

	@Option(names = "--steps", defaultValue = "1500",
			description = "Steps of the language model (default: ${DEFAULT-VALUE}).")
	private long steps;

	@Option(names = "--prompt", description = "Beginnings to continue (default: three of stories).")
	private String[] prompts = { "Once upon a time,", "Mia was a kind girl", "Once there was a brave boy named Tom." };

	@Option(names = "--mlflow", paramLabel = "URI",
			description = "Follow the training on this MLflow server, such as http://localhost:5000.")
	private @Nullable String mlflow;

	private final PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);

	/**
	 * Runs it.
	 * @param args {@code --help} explains them
	 */
	public static void main(String[] args) {
		System.exit(commandLine().execute(args));
	}

	static CommandLine commandLine() {
		return new CommandLine(new Quickstart()).setExecutionExceptionHandler((ex, command, parsed) -> {
			command.getErr().println("quickstart: " + ex.getMessage());
			return (ex instanceof InvalidInputException) ? 2 : 1;
		});
	}

	@Override
	public Integer call() throws IOException {
		Path directory = Files.createDirectories(this.output.toAbsolutePath().getParent());
		Path stories = directory.resolve(this.output.getFileName() + "-corpus.jsonl");
		Path unseenStories = directory.resolve(this.output.getFileName() + "-unseen.jsonl");
		if (this.corpus == null) {
			StoryCorpus.write(stories, CORPUS_BYTES, 1);
			StoryCorpus.write(unseenStories, UNSEEN_BYTES, 2);
		}
		Corpus text = Corpus.of((this.corpus != null) ? this.corpus : stories);
		Corpus scored = (this.corpus == null) ? Corpus.of(unseenStories)
				: (this.unseen != null) ? Corpus.of(this.unseen) : text;

		try (Tokenizer tokens = (this.tokenizer != null) ? Tokenizer.load(this.tokenizer)
				: Tokenizer.train(text, this.vocabulary);
				MlflowListener tracking = (this.mlflow != null) ? MlflowListener.to(this.mlflow) : null;
				GenerationEngine model = Calm.train(
						(training) -> small(followed(training, tracking), this.autoencoderSteps, this.steps, this.steps)
							.corpus(text)
							.evaluation(scored)
							.tokenizer(tokens)
							.listener(new Progress(this.out))
							.output(this.output))) {
			for (String prompt : this.prompts) {
				this.out.print(System.lineSeparator() + "> " + prompt);
				model.generate(prompt, (request) -> request.temperature(0.3).maxNewTokens(120))
					.forEach((chunk) -> this.out.print(chunk.text()));
				this.out.println();
			}
			this.out.println(System.lineSeparator() + "The model is in " + this.output);
		}
		return 0;
	}

	/**
	 * Sets up a model that learns such stories within minutes on two cores.
	 * @param training to be set up
	 * @param autoencoderSteps of the first phase
	 * @param steps of the second
	 * @param evaluateEvery steps of the second between evaluations; the first is
	 * evaluated at its end
	 * @return the training
	 */
	public static CalmTraining small(CalmTraining training, long autoencoderSteps, long steps, long evaluateEvery) {
		return training
			.autoencoder((shape) -> shape.patchSize(4).latentSize(64).hiddenSize(128).intermediateSize(320),
					(options) -> options.steps(autoencoderSteps)
						.batch(16)
						.patches(64)
						.learningRate(2e-3)
						.checkpointEvery(100)
						.evaluateEvery(autoencoderSteps))
			.languageModel("nano", (shape) -> shape.samples(4).targets(32),
					(options) -> options.steps(steps)
						.batch(8)
						.patches(64)
						.learningRate(2e-3)
						.averaging(0.99)
						.checkpointEvery(100)
						.evaluateEvery(evaluateEvery));
	}

	private static CalmTraining followed(CalmTraining training, @Nullable MlflowListener tracking) {
		return (tracking != null) ? training.listener(tracking) : training;
	}

}

package io.calm.cli;

import java.nio.file.Path;
import java.util.List;

import io.calm.Calm;
import io.calm.graph.ProgramOptions;
import io.calm.text.ByteTokenizer;
import io.calm.text.Corpus;
import io.calm.text.Tokenizer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Trains a model on text. */
@Command(name = "train", description = "Train an autoencoder and a language model on text. The same command goes on"
		+ " where an interrupted training has stopped.")
final class TrainCommand extends Subcommand {

	@Option(names = "--corpus", required = true, arity = "1..*", paramLabel = "PATH",
			description = "Text: .txt, .jsonl, .gz of both, or directories of them.")
	private List<Path> corpus = List.of();

	@Option(names = "--json-field", defaultValue = "text", description = "Field of .jsonl (default: ${DEFAULT-VALUE}).")
	private String jsonField = "text";

	@Option(names = "--document-start", paramLabel = "REGEX",
			description = "A line of .txt that matches begins a new document (default: a file is one document).")
	private @Nullable String documentStart;

	@Option(names = "--tokenizer", required = true, paramLabel = "FILE|byte",
			description = "A tokenizer.json, or 'byte' for one token per byte.")
	private String tokenizer = "byte";

	@Option(names = "--output", required = true, paramLabel = "DIR", description = "The model directory to write.")
	private Path output = Path.of("model");

	@Option(names = "--preset", defaultValue = "micro",
			description = "nano, micro, small, CALM-M, CALM-L or CALM-XL (default: ${DEFAULT-VALUE}).")
	private String preset = "micro";

	@Option(names = "--patch-size", defaultValue = "4",
			description = "K, tokens per patch (default: ${DEFAULT-VALUE}).")
	private int patchSize;

	@Option(names = "--latent-size", defaultValue = "128", description = "l (default: ${DEFAULT-VALUE}).")
	private int latentSize;

	@Option(names = "--autoencoder-size", defaultValue = "256",
			description = "D, the autoencoder's width (default: ${DEFAULT-VALUE}).")
	private int autoencoderSize;

	@Option(names = "--autoencoder-steps", defaultValue = "2000", description = "Steps (default: ${DEFAULT-VALUE}).")
	private long autoencoderSteps;

	@Option(names = "--autoencoder-learning-rate", defaultValue = "0.001",
			description = "The greatest (default: ${DEFAULT-VALUE}).")
	private double autoencoderLearningRate;

	@Option(names = "--steps", defaultValue = "3000",
			description = "Steps of the language model (default: ${DEFAULT-VALUE}).")
	private long steps;

	@Option(names = "--learning-rate", defaultValue = "0.0005",
			description = "The greatest of the language model (default: ${DEFAULT-VALUE}).")
	private double learningRate;

	@Option(names = "--batch", defaultValue = "8", description = "Sequences per step (default: ${DEFAULT-VALUE}).")
	private int batch;

	@Option(names = "--block", defaultValue = "256", description = "Tokens per sequence (default: ${DEFAULT-VALUE}).")
	private int block;

	@Option(names = "--checkpoint-every", defaultValue = "500",
			description = "Steps between checkpoints (default: ${DEFAULT-VALUE}).")
	private long checkpointEvery;

	@Option(names = "--seed", defaultValue = "1", description = "Of everything random (default: ${DEFAULT-VALUE}).")
	private long seed;

	@Mixin
	private ComputeOptions compute = new ComputeOptions();

	@Override
	Report run() {
		Corpus text = Corpus.of((options) -> {
			options.paths(this.corpus.toArray(Path[]::new)).jsonField(this.jsonField);
			if (this.documentStart != null) {
				options.documentStart(this.documentStart);
			}
		});
		ProgramOptions program = this.compute.training();
		int patches = Math.max(2, this.block / this.patchSize);
		long start = System.nanoTime();
		try (Tokenizer tokens = "byte".equals(this.tokenizer) ? new ByteTokenizer()
				: Tokenizer.load(Path.of(this.tokenizer))) {
			Calm.train((training) -> training.corpus(text)
				.tokenizer(tokens)
				.program(program)
				.autoencoder(
						(shape) -> shape.patchSize(this.patchSize)
							.latentSize(this.latentSize)
							.hiddenSize(this.autoencoderSize)
							.intermediateSize(this.autoencoderSize * 5 / 2),
						(options) -> options.steps(this.autoencoderSteps)
							.batch(this.batch)
							.patches(patches)
							.learningRate(this.autoencoderLearningRate)
							.checkpointEvery(this.checkpointEvery)
							.seed(this.seed))
				.languageModel(this.preset, (shape) -> {
				}, (options) -> options.steps(this.steps)
					.batch(this.batch)
					.patches(patches)
					.learningRate(this.learningRate)
					.averaging(0.999)
					.checkpointEvery(this.checkpointEvery)
					.seed(this.seed))
				.listener(new TrainingProgress(this))
				.output(this.output)).close();
		}
		return new Report().put("output", this.output.toString())
			.put("seconds", Math.round((System.nanoTime() - start) / 1e9));
	}

}

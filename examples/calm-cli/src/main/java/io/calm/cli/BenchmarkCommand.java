package io.calm.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.autoencoder.AutoencoderConfig;
import io.calm.checkpoint.SafetensorsWriter;
import io.calm.checkpoint.TensorFile;
import io.calm.generation.GenerationEngine;
import io.calm.generation.GenerationStream;
import io.calm.graph.ProductSpeed;
import io.calm.input.InvalidInputException;
import io.calm.model.BackboneConfig;
import io.calm.model.BaselineConfig;
import io.calm.model.CalmConfig;
import io.calm.model.ModelFiles;
import io.calm.text.ByteTokenizer;
import io.calm.text.TokenStore;
import io.calm.training.Trainable;
import io.calm.training.Trainer;
import io.calm.training.TrainingOptions;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Times what takes time. */
@Command(name = "benchmark", description = "Time training steps, generation and the service.",
		subcommands = { BenchmarkCommand.AutoencoderStep.class, BenchmarkCommand.EnergyStep.class,
				BenchmarkCommand.BaselineStep.class, BenchmarkCommand.Generate.class, ServeBenchmark.class })
final class BenchmarkCommand {

	private static final String[] NOT_OF_BASELINES = { "--patch-size", "--latent-size", "--autoencoder-size",
			"--autoencoder-intermediate-size", "--head-blocks", "--copy-size", "--token-loss", "--guessed-tokens",
			"--vector-every", "--lead-tokens", "--samples", "--targets" };

	/** Steps that are not timed: in the first, a program may be compiled. */
	private static final int WARMUP = 2;

	private BenchmarkCommand() {
	}

	/** The sizes; the defaults are those of the published PyTorch figures. */
	static final class Sizes {

		@Option(names = "--vocab", defaultValue = "8192",
				description = "V, size of the vocabulary (default: ${DEFAULT-VALUE}).")
		private int vocab;

		@Option(names = "--patch-size", defaultValue = "4",
				description = "K, tokens per patch (default: ${DEFAULT-VALUE}).")
		private int patchSize;

		@Option(names = "--latent-size", defaultValue = "128",
				description = "l, size of the latent vector (default: ${DEFAULT-VALUE}).")
		private int latentSize;

		@Option(names = "--autoencoder-size", defaultValue = "512",
				description = "D, width of the autoencoder (default: ${DEFAULT-VALUE}).")
		private int autoencoderSize;

		@Option(names = "--autoencoder-intermediate-size", defaultValue = "1280",
				description = "F, intermediate size of the autoencoder (default: ${DEFAULT-VALUE}).")
		private int autoencoderIntermediateSize;

		@Option(names = "--hidden-size", defaultValue = "512",
				description = "d, width of the backbone (default: ${DEFAULT-VALUE}).")
		private int hiddenSize;

		@Option(names = "--intermediate-size", defaultValue = "1376",
				description = "f, intermediate size of the backbone (default: ${DEFAULT-VALUE}).")
		private int intermediateSize;

		@Option(names = "--layers", defaultValue = "6",
				description = "Layers of the backbone (default: ${DEFAULT-VALUE}).")
		private int layers;

		@Option(names = "--heads", defaultValue = "8", description = "Attention heads (default: ${DEFAULT-VALUE}).")
		private int heads;

		@Option(names = "--head-blocks", defaultValue = "4",
				description = "Blocks of the generative head (default: ${DEFAULT-VALUE}).")
		private int headBlocks;

		@Option(names = "--copy-size", defaultValue = "64",
				description = "Size of the attention that copies tokens. 0 disables it, as in the paper (default: "
						+ "${DEFAULT-VALUE}).")
		private int copySize;

		@Option(names = "--token-loss", defaultValue = "1",
				description = "Weight of the cross entropy of the tokens. 0 is the paper's objective (default: "
						+ "${DEFAULT-VALUE}).")
		private double tokenLoss;

		@Option(names = "--guessed-tokens",
				description = "Tokens of a patch that the token loss predicts (default: all, or one if there are more than "
						+ "10000 ids).")
		private @Nullable Integer guessedTokens;

		@Option(names = "--vector-every", defaultValue = "1",
				description = "Learn the vectors in one of this many sequences (default: ${DEFAULT-VALUE}).")
		private int vectorEvery;

		@Option(names = "--lead-tokens",
				description = "Tokens drawn before the vector. 0 for none, as in the paper (default: half of the patch).")
		private @Nullable Integer leadTokens;

		@Option(names = "--samples", defaultValue = "8",
				description = "N, samples of the model (default: ${DEFAULT-VALUE}).")
		private int samples;

		@Option(names = "--targets", defaultValue = "100",
				description = "M, samples of the target (default: ${DEFAULT-VALUE}).")
		private int targets;

		@Option(names = "--batch", defaultValue = "4", description = "Sequences per step (default: ${DEFAULT-VALUE}).")
		private int batch;

		@Option(names = "--block", defaultValue = "512",
				description = "Tokens per sequence (default: ${DEFAULT-VALUE}).")
		private int block;

		@Option(names = "--runs", defaultValue = "10",
				description = "Timed runs, after two that are not timed (default: ${DEFAULT-VALUE}).")
		private int runs;

		@Mixin
		private ComputeOptions compute = new ComputeOptions();

		AutoencoderConfig autoencoder() {
			return AutoencoderConfig.builder(this.vocab)
				.patchSize(this.patchSize)
				.latentSize(this.latentSize)
				.hiddenSize(this.autoencoderSize)
				.intermediateSize(this.autoencoderIntermediateSize)
				.build();
		}

		CalmConfig.Builder model() {
			CalmConfig.Builder model = CalmConfig.preset("small")
				.hiddenSize(this.hiddenSize)
				.intermediateSize(this.intermediateSize)
				.layers(this.layers)
				.heads(this.heads)
				.headBlocks(this.headBlocks)
				.copySize(this.copySize)
				.tokenLoss(this.tokenLoss)
				.vectorEvery(this.vectorEvery)
				.samples(this.samples)
				.targets(this.targets);
			if (this.guessedTokens != null) {
				model.guessedTokens(this.guessedTokens);
			}
			return (this.leadTokens != null) ? model.leadTokens(this.leadTokens) : model;
		}

		BaselineConfig baseline() {
			return new BaselineConfig(this.vocab,
					BackboneConfig.preset("small")
						.hiddenSize(this.hiddenSize)
						.intermediateSize(this.intermediateSize)
						.layers(this.layers)
						.heads(this.heads)
						.build(),
					0, 1, 2);
		}

		/**
		 * Over an autoencoder with random weights: what a step costs does not depend on
		 * them.
		 */
		Trainable languageModel() {
			AutoencoderConfig autoencoder = autoencoder();
			return Trainable.languageModel(model().build(autoencoder), autoencoder);
		}

		int patches() {
			return this.block / this.patchSize;
		}

		TrainingOptions options(long steps, int positions) {
			return TrainingOptions.of((options) -> options.steps(steps).batch(this.batch).patches(positions));
		}

		Report timeSteps(Trainable model, TrainingOptions options) {
			try (TokenStore data = data()) {
				List<Double> seconds = new Trainer(model, options, this.compute.training(), List.of())
					.tryOut(data, WARMUP + this.runs)
					.stepSeconds();
				List<Double> timed = seconds.stream().skip(WARMUP).toList();
				double reached = model.flopsPerStep(options) / Collections.min(timed);
				double possible = ProductSpeed.of(this.compute.training());
				return report(timed.stream().map((each) -> 1e3 * each).toList(), (double) this.batch * this.block)
					.put("gflop_per_s", reached / 1e9)
					.put("product_gflop_per_s", possible / 1e9)
					.put("flops_utilisation", reached / possible);
			}
		}

		/** Random tokens: what a step costs does not depend on them. */
		TokenStore data() {
			return TokenStore.of(new Random(1).ints(16L * this.batch * this.block, 3, this.vocab).toArray());
		}

	}

	private static Report report(List<Double> milliseconds, double tokens) {
		List<Double> sorted = new ArrayList<>(milliseconds);
		Collections.sort(sorted);
		double median = sorted.get(sorted.size() / 2);
		return new Report().put("median_ms", median)
			.put("min_ms", sorted.get(0))
			.put("tokens_per_s", tokens / median * 1e3)
			.put("peak_rss_mb", peakResidentMegabytes());
	}

	/** As Linux counts it; NaN elsewhere. */
	private static double peakResidentMegabytes() {
		Path status = Path.of("/proc/self/status");
		if (!Files.isReadable(status)) {
			return Double.NaN;
		}
		try (Stream<String> lines = Files.lines(status)) {
			return lines.filter((line) -> line.startsWith("VmHWM:"))
				.mapToDouble((line) -> Double.parseDouble(line.replaceAll("\\D", "")) / 1024)
				.findFirst()
				.orElse(Double.NaN);
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	/** Times a training step of the autoencoder. */
	@Command(name = "autoencoder-step", description = "Time a training step of the autoencoder.")
	static final class AutoencoderStep extends Subcommand {

		@Mixin
		private Sizes sizes = new Sizes();

		@Override
		Report run() {
			return this.sizes.timeSteps(Trainable.autoencoder(this.sizes.autoencoder()),
					this.sizes.options(Integer.MAX_VALUE, this.sizes.patches()));
		}

	}

	/** Times a training step of the language model. */
	@Command(name = "energy-step", description = "Time a training step of the language model with the energy head.")
	static final class EnergyStep extends Subcommand {

		@Mixin
		private Sizes sizes = new Sizes();

		@Override
		Report run() {
			return this.sizes.timeSteps(this.sizes.languageModel(),
					this.sizes.options(Integer.MAX_VALUE, this.sizes.patches()));
		}

	}

	/** Times a training step of the baseline. */
	@Command(name = "baseline-step", description = "Time a training step of the baseline Transformer.")
	static final class BaselineStep extends Subcommand {

		@Mixin
		private Sizes sizes = new Sizes();

		@Override
		Report run() {
			refuse("the baseline", NOT_OF_BASELINES);
			return this.sizes.timeSteps(Trainable.baseline(this.sizes.baseline()),
					this.sizes.options(Integer.MAX_VALUE, this.sizes.block));
		}

	}

	/** Times generation. */
	@Command(name = "generate", description = "Time the generation of texts.")
	static final class Generate extends Subcommand {

		/** Runs for each one that is timed, at the most. */
		private static final int PATIENCE = 20;

		@Mixin
		private Sizes sizes = new Sizes();

		@Option(names = "--prompt", defaultValue = "32",
				description = "Tokens of the prompt (default: ${DEFAULT-VALUE}).")
		private int prompt;

		@Option(names = "--new-tokens", defaultValue = "128",
				description = "Tokens to generate (default: ${DEFAULT-VALUE}).")
		private int newTokens;

		@Option(names = "--streams", defaultValue = "1",
				description = "Texts generated in parallel (default: ${DEFAULT-VALUE}).")
		private int streams;

		@Option(names = "--baseline",
				description = "Use the baseline Transformer, which generates one token at a time.")
		private boolean baseline;

		@Mixin
		private SamplingOptions sampling = new SamplingOptions();

		@Override
		Report run() {
			if (this.baseline) {
				refuse("--baseline", NOT_OF_BASELINES);
			}
			checkVocabulary();
			List<Double> milliseconds = new ArrayList<>();
			long tokens = (long) this.streams * this.newTokens;
			try (WorkDirectory work = WorkDirectory.create(); TokenStore data = this.sizes.data()) {
				Path model = work.path().resolve("model");
				train(data, model);
				int tokensAtOnce = this.baseline ? 1 : this.sizes.patchSize;
				int context = (this.prompt + this.newTokens) / tokensAtOnce + 2;
				try (GenerationEngine engine = GenerationEngine.open(model,
						(options) -> options.slots(this.streams)
							.queue(this.streams)
							.context(context)
							.buffer(context)
							.program(this.sizes.compute.generation()))) {
					for (int run = -2; milliseconds.size() < this.sizes.runs; run++) {
						if (run > PATIENCE * this.sizes.runs) {
							throw new InvalidInputException("--new-tokens " + this.newTokens,
									"are hardly ever reached: by chance, texts of a model that knows nothing end before",
									"choose fewer, or a larger --vocab");
						}
						long start = System.nanoTime();
						// chance may end a text early; such runs do not count
						boolean whole = generate(engine, run) == tokens;
						if (run >= 0 && whole) {
							milliseconds.add((System.nanoTime() - start) / 1e6);
						}
					}
				}
			}
			return report(milliseconds, tokens).put("new_tokens", tokens);
		}

		private void checkVocabulary() {
			try (ByteTokenizer bytes = new ByteTokenizer()) {
				if (bytes.vocabularySize() > this.sizes.vocab) {
					throw new InvalidInputException("--vocab " + this.sizes.vocab,
							"is less than the ids of the bytes and the special tokens",
							"choose at least " + bytes.vocabularySize());
				}
			}
		}

		/** Hardly: of the weights it matters only how much draws differ. */
		private void train(TokenStore data, Path model) {
			Trainable what = this.baseline ? Trainable.baseline(this.sizes.baseline()) : this.sizes.languageModel();
			new Trainer(what, this.sizes.options(1, this.baseline ? this.sizes.block : this.sizes.patches()),
					this.sizes.compute.evaluation(), List.of())
				.train(data, model, this::saveTokenizer);
			if (!this.baseline) {
				spread(model.resolve(ModelFiles.WEIGHTS));
			}
		}

		/**
		 * Draws the head's last matrix as PyTorch draws one: it begins at zero, and then
		 * all draws are alike.
		 */
		private void spread(Path weights) {
			Path copy = weights.resolveSibling("spread.safetensors");
			double bound = 1 / Math.sqrt(this.sizes.hiddenSize);
			SplittableRandom random = new SplittableRandom(1);
			try (TensorFile from = TensorFile.open(weights);
					SafetensorsWriter to = SafetensorsWriter.create(copy, List.copyOf(from.entries().values()))) {
				for (String name : from.entries().keySet()) {
					float[] values = from.readFloats(name);
					if (name.endsWith(".final_layer.linears.2.weight")) {
						for (int i = 0; i < values.length; i++) {
							values[i] = (float) random.nextDouble(-bound, bound);
						}
					}
					to.write(name, FloatBuffer.wrap(values));
				}
			}
			try {
				Files.move(copy, weights, StandardCopyOption.REPLACE_EXISTING);
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
		}

		private long generate(GenerationEngine engine, int run) {
			String text = "x".repeat(this.prompt - 1); // BOS is the first
			List<GenerationStream> streams = IntStream.range(0, this.streams)
				.mapToObj((i) -> engine.generate(text,
						(request) -> this.sampling.applyTo(request)
							.maxNewTokens(this.newTokens)
							.seed((long) run * this.streams + i)))
				.toList();
			return streams.stream().flatMap(GenerationStream::stream).mapToLong((chunk) -> chunk.tokens().length).sum();
		}

		/** The bytes, and words that no text contains for all other ids. */
		private void saveTokenizer(Path directory) {
			try (ByteTokenizer bytes = new ByteTokenizer()) {
				bytes.save(directory);
				Path file = directory.resolve("tokenizer.json");
				JsonObject tokenizer = JsonParser.parseString(Files.readString(file)).getAsJsonObject();
				JsonObject vocabulary = tokenizer.getAsJsonObject("model").getAsJsonObject("vocab");
				while (vocabulary.size() < this.sizes.vocab) {
					vocabulary.addProperty(" word " + vocabulary.size(), vocabulary.size());
				}
				Files.writeString(file, tokenizer.toString());
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
		}

	}

}

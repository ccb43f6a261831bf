package io.calm.cli;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.cli.ablate.Scale;
import io.calm.evaluation.AutoencoderScoring;
import io.calm.evaluation.BrierScore;
import io.calm.evaluation.BrierScoring;
import io.calm.evaluation.LikelihoodScore;
import io.calm.evaluation.LikelihoodScoring;
import io.calm.evaluation.MarkovSource;
import io.calm.graph.ProgramOptions;
import io.calm.model.BackboneConfig;
import io.calm.model.BaselineConfig;
import io.calm.model.CalmConfig;
import io.calm.text.TokenStore;
import io.calm.training.Evaluation;
import io.calm.training.LearningRate;
import io.calm.training.Phase;
import io.calm.training.Trainable;
import io.calm.training.Trainer;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingOptions;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Trains on a source whose best possible score is known. */
@Command(name = "known-source",
		description = "Train on a random Markov source whose best possible Brier-n is known, and report how close the "
				+ "model comes to it.")
final class KnownSourceCommand extends Subcommand {

	/** Ids before the states: PAD, BOS, EOS. */
	private static final int SPECIAL = 3;

	private static final int EVALUATION_TOKENS = 400_000;

	@Option(names = "--states", defaultValue = "64", description = "States of the source (default: ${DEFAULT-VALUE}).")
	private int states;

	@Option(names = "--successors", defaultValue = "3",
			description = "Successors of each state (default: ${DEFAULT-VALUE}).")
	private int successors;

	@Option(names = "--seed", defaultValue = "1",
			description = "Seed of the source and the training (default: ${DEFAULT-VALUE}).")
	private long seed;

	@Option(names = "--steps", defaultValue = "9000",
			description = "Steps of the language model (default: ${DEFAULT-VALUE}).")
	private long steps;

	@Option(names = "--autoencoder-steps", defaultValue = "2000",
			description = "Steps of the autoencoder (default: ${DEFAULT-VALUE}).")
	private long autoencoderSteps;

	@Option(names = "--hidden-size", defaultValue = "128",
			description = "d and D, width of the backbone and of the autoencoder (default: ${DEFAULT-VALUE}).")
	private int hiddenSize;

	@Option(names = "--layers", defaultValue = "2", description = "Layers of the backbone (default: ${DEFAULT-VALUE}).")
	private int layers;

	@Option(names = "--heads", defaultValue = "4", description = "Attention heads (default: ${DEFAULT-VALUE}).")
	private int heads;

	@Option(names = "--latent-size", defaultValue = "32",
			description = "l, size of the latent vector (default: ${DEFAULT-VALUE}).")
	private int latentSize;

	@Option(names = "--patch-size", defaultValue = "4",
			description = "K, tokens per patch. The baseline is scored patch-aligned too (default: ${DEFAULT-VALUE}).")
	private int patchSize;

	@Option(names = "--batch", defaultValue = "32", description = "Sequences per step (default: ${DEFAULT-VALUE}).")
	private int batch;

	@Option(names = "--block", defaultValue = "64", description = "Tokens per sequence (default: ${DEFAULT-VALUE}).")
	private int block;

	@Option(names = "--learning-rate", defaultValue = "0.003",
			description = "Maximum learning rate of the language model (default: ${DEFAULT-VALUE}).")
	private double learningRate;

	@Option(names = "--autoencoder-learning-rate", defaultValue = "0.001",
			description = "Maximum learning rate of the autoencoder (default: ${DEFAULT-VALUE}).")
	private double autoencoderLearningRate;

	@Option(names = "--decay", defaultValue = "cosine",
			description = "Schedule of the learning rate: constant, linear, cosine or late (default: ${DEFAULT-VALUE}).")
	private LearningRate.Decay decay = LearningRate.Decay.COSINE;

	@Option(names = "--averaging", defaultValue = "0.995",
			description = "Decay of the running average of the weights. 0 disables it (default: ${DEFAULT-VALUE}).")
	private double averaging;

	@Option(names = "--head-blocks", defaultValue = "4",
			description = "Blocks of the generative head (default: ${DEFAULT-VALUE}).")
	private int headBlocks;

	@Option(names = "--kl-weight", defaultValue = "0.001",
			description = "Weight of the KL term of the autoencoder (default: ${DEFAULT-VALUE}).")
	private double klWeight;

	@Option(names = "--dropout", defaultValue = "0.15",
			description = "Dropout of the autoencoder (default: ${DEFAULT-VALUE}).")
	private double dropout;

	@Option(names = "--evaluate-every", defaultValue = "0",
			description = "Steps of the language model between intermediate scores (default: none).")
	private long evaluateEvery;

	@Mixin
	private CalmModelOptions head = new CalmModelOptions();

	@Mixin
	private ComputeOptions compute = new ComputeOptions();

	@Option(names = "--baseline",
			description = "Train the baseline Transformer, which predicts one token at a time, instead of a CALM model.")
	private boolean baseline;

	@Override
	Report run() {
		if (this.baseline) {
			refuse("--baseline", "--autoencoder-steps", "--latent-size", "--autoencoder-learning-rate", "--samples",
					"--targets", "--head-blocks", "--kl-weight", "--dropout", "--input", "--alpha", "--head",
					"--copy-size", "--token-loss", "--guessed-tokens", "--vector-every", "--lead-tokens",
					"--sampling-steps", "--solver");
		}
		MarkovSource source = MarkovSource.random(this.states, this.successors, this.seed);
		long longest = this.baseline ? this.steps : Math.max(this.steps, this.autoencoderSteps);
		long tokens = longest * this.batch * this.block + 2L * this.block;
		double[] ideal = new double[BrierScore.LENGTH];
		Arrays.setAll(ideal, (n) -> source.idealBrier(BrierScore.LENGTH)[n]);
		Report report = new Report().put("ideal",
				new Report().put("brier", ideal)
					.put("brierLM", source.idealBrierLm())
					.put("crossEntropy", source.entropy()));
		try (WorkDirectory work = WorkDirectory.create();
				TokenStore data = sample(source, Math.toIntExact(Math.min(tokens, 1 << 28)), this.seed + 1);
				TokenStore unseen = sample(source, EVALUATION_TOKENS, this.seed + 2)) {
			if (this.baseline) {
				trainBaseline(report, source.idealBrierLm(), work.path(), data, unseen);
			}
			else {
				trainCalm(report, source.idealBrierLm(), work.path(), data, unseen);
			}
		}
		return report;
	}

	private void trainCalm(Report report, double ideal, Path work, TokenStore data, TokenStore unseen) {
		AutoencoderConfig autoencoder = AutoencoderConfig.builder(SPECIAL + this.states)
			.patchSize(this.patchSize)
			.latentSize(this.latentSize)
			.hiddenSize(this.hiddenSize)
			.intermediateSize(Scale.intermediateSize(this.hiddenSize))
			.klWeight(this.klWeight)
			.dropout(this.dropout)
			.build();
		// what cannot be a model, or be trained, is refused before its autoencoder is
		// trained
		Trainable model = Trainable.languageModel(this.head.applyTo(CalmConfig.preset("nano"))
			.hiddenSize(this.hiddenSize)
			.layers(this.layers)
			.heads(this.heads)
			.headBlocks(this.headBlocks)
			.build(autoencoder), autoencoder);
		TrainingOptions modelOptions = options(patches(), this.steps, this.learningRate, this.evaluateEvery);
		ProgramOptions program = this.compute.training();
		List<TrainingListener> listeners = List.of(new TrainingProgress(this));
		Consumer<Path> noFiles = (directory) -> {
		};
		Path autoencoderDirectory = work.resolve("autoencoder");
		Path modelDirectory = work.resolve("model");
		new Trainer(Trainable.autoencoder(autoencoder),
				options(patches(), this.autoencoderSteps, this.autoencoderLearningRate, 0), program, listeners)
			.train(data, autoencoderDirectory, noFiles);
		BrierScoring scoring = new BrierScoring(patches(), this.batch, 0, this.seed);
		Report onTheWay = new Report();
		long start = System.nanoTime();
		new Trainer(model.over(autoencoderDirectory), modelOptions, program,
				List.of(new TrainingProgress(this), scores(onTheWay)),
				Evaluation.ofLanguageModel(unseen, scoring, this.compute.evaluation()))
			.train(data, modelDirectory, noFiles);
		double seconds = (System.nanoTime() - start) / 1e9;
		BrierScore score = scoring.score(modelDirectory, unseen, this.compute.evaluation());
		report.put("measured", section(score))
			.put("share", score.brierLm() / ideal)
			.put("autoencoderAccuracy",
					new AutoencoderScoring(this.seed).score(autoencoderDirectory, unseen, this.compute.evaluation())
						.accuracy())
			.put("positions", score.positions())
			.put("steps", this.steps)
			.put("seconds", seconds);
		if (this.evaluateEvery > 0) {
			report.put("brierLMAfterSteps", onTheWay);
		}
	}

	private void trainBaseline(Report report, double ideal, Path work, TokenStore data, TokenStore unseen) {
		BaselineConfig config = new BaselineConfig(SPECIAL + this.states,
				BackboneConfig.preset("nano").hiddenSize(this.hiddenSize).layers(this.layers).heads(this.heads).build(),
				0, 1, 2);
		Path directory = work.resolve("model");
		long start = System.nanoTime();
		new Trainer(Trainable.baseline(config), options(Math.max(2, this.block), this.steps, this.learningRate, 0),
				this.compute.training(), List.of(new TrainingProgress(this)))
			.train(data, directory, (target) -> {
			});
		double seconds = (System.nanoTime() - start) / 1e9;
		LikelihoodScore score = new LikelihoodScoring(patches(), this.patchSize, this.batch, 0, this.seed)
			.score(directory, unseen, this.compute.evaluation());
		report.put("measured", section(score.everyPosition()).put("crossEntropy", score.crossEntropy()))
			.put("share", score.everyPosition().brierLm() / ideal)
			.put("patchAligned", section(score.patchAligned()))
			.put("patchAlignedShare", score.patchAligned().brierLm() / ideal)
			.put("positions", score.everyPosition().positions())
			.put("steps", this.steps)
			.put("seconds", seconds);
	}

	private static Report section(BrierScore score) {
		return new Report().put("brier", score.brier()).put("brierLM", score.brierLm()).put("error", score.error());
	}

	private int patches() {
		return Scale.patches(this.block, this.patchSize);
	}

	private static TrainingListener scores(Report onTheWay) {
		return new TrainingListener() {

			@Override
			public void onEvaluation(Phase phase, long step, Map<String, Double> scores) {
				onTheWay.put(Long.toString(step), scores.getOrDefault(BrierScore.BRIER_LM, Double.NaN));
			}

		};
	}

	private TrainingOptions options(int patches, long count, double rate, long evaluateEvery) {
		return TrainingOptions.of((options) -> options.steps(count)
			.batch(this.batch)
			.patches(patches)
			.learningRate(rate)
			.decay(this.decay)
			.averaging(this.averaging)
			.evaluateEvery(evaluateEvery)
			.seed(this.seed));
	}

	private static TokenStore sample(MarkovSource source, int length, long seed) {
		return TokenStore.of(Arrays.stream(source.sample(length, seed)).map((state) -> state + SPECIAL).toArray());
	}

}

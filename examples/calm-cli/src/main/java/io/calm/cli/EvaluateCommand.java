package io.calm.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.evaluation.AutoencoderScore;
import io.calm.evaluation.AutoencoderScoring;
import io.calm.evaluation.BrierScore;
import io.calm.evaluation.BrierScoring;
import io.calm.evaluation.ExactMatch;
import io.calm.evaluation.ExactMatchScoring;
import io.calm.evaluation.LikelihoodScore;
import io.calm.evaluation.LikelihoodScoring;
import io.calm.generation.GenerationEngine;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.mlflow.MlflowRegistry;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelKind;
import io.calm.text.Corpus;
import io.calm.text.TokenStore;
import io.calm.text.Tokenizer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Scores a model on text. */
@Command(name = "evaluate",
		description = "Score a model on text: Brier-1..4 and BrierLM, and the autoencoder's accuracy or the baseline's "
				+ "cross entropy and perplexity. For prompts with answers, only the answers count.")
final class EvaluateCommand extends Subcommand {

	@Parameters(paramLabel = "MODEL", arity = "0..1",
			description = "The model directory, or an address such as models:/stories@champion.")
	private @Nullable String model;

	@Option(names = "--patch-size", defaultValue = "4",
			description = "For a baseline: K of the CALM model to compare with, for scores at the same positions "
					+ "(default: ${DEFAULT-VALUE}).")
	private int patchSize;

	@Option(names = "--mlflow-experiment", paramLabel = "NAME", defaultValue = "Default",
			description = "The experiment for the scores of a model directory (default: ${DEFAULT-VALUE}).")
	private String experiment = "Default";

	@Option(names = "--exact-match",
			description = "Let the model answer the prompts of the corpus, and count the answers that are the same word "
					+ "for word. --limit is also the maximum number of answers.")
	private boolean exactMatch;

	@Option(names = "--temperature", defaultValue = "0.2",
			description = "Temperature of the answers for --exact-match (default: ${DEFAULT-VALUE}).")
	private double temperature;

	@Mixin
	private ScoringOptions scoring = new ScoringOptions();

	@Mixin
	private RegistryOption registry = new RegistryOption();

	@Mixin
	private ComputeOptions compute = new ComputeOptions();

	@Override
	Report run() {
		List<Path> texts = this.scoring.corpus();
		String model = this.model;
		if (model == null) {
			// --corpus takes all that follows it, the model too
			model = texts.get(texts.size() - 1).toString();
			texts = texts.subList(0, texts.size() - 1);
			if (texts.isEmpty() || !RegistryOption.isRegistered(model)
					&& !Files.isRegularFile(Path.of(model).resolve(ModelDirectory.CONFIG))) {
				throw new InvalidInputException("MODEL", "is missing", "name the model before --corpus");
			}
		}
		return evaluate(model, texts);
	}

	private Report evaluate(String name, List<Path> texts) {
		if (!this.exactMatch) {
			refuse("an evaluation without --exact-match", "--temperature");
		}
		Path directory = this.registry.directory(name);
		ModelDirectory model = ModelDirectory.open(directory);
		Path tokenizerFile = model.requiredTokenizer();
		ModelKind kind;
		try (TensorFile weights = model.weights()) {
			kind = ModelKind.of(directory, weights);
		}
		try (Tokenizer tokenizer = Tokenizer.load(tokenizerFile)) {
			ModelConfigs.checkVocabulary(model, tokenizer.vocabularySize());
			Corpus text = this.scoring.text(texts);
			try (TokenStore data = TokenStore.of(text, tokenizer)) {
				Report report = new Report().put("documents", data.documents()).put("tokens", data.tokens());
				Map<String, Double> scores;
				if (kind == ModelKind.BASELINE) {
					scores = evaluateBaseline(report, directory, data);
				}
				else {
					refuse("this model, which has a patch size of its own,", "--patch-size");
					scores = evaluateCalm(report, directory, kind, model.config().integer("patch_size", 1, 1 << 24),
							data);
				}
				if (this.exactMatch) {
					scores.putAll(evaluateAnswers(report, directory, text));
				}
				if (this.registry.records()) {
					record(name, scores, data.digest());
				}
				return report;
			}
		}
	}

	private void record(String model, Map<String, Double> scores, String digest) {
		scores.put("block", (double) this.scoring.block());
		// a limit, or documents too few for an error
		scores.values().removeIf((value) -> value.isNaN());
		MlflowRegistry registry = this.registry.registry();
		if (RegistryOption.isRegistered(model)) {
			MlflowRegistry.Version version = registry.recordEvaluation(model, scores, "evaluation", digest);
			note("recorded in run " + version.runId() + " of " + version.uri());
		}
		else {
			String run = "evaluate " + Path.of(model).toAbsolutePath().normalize().getFileName();
			note("recorded in run " + registry.recordEvaluation(this.experiment, run, scores, "evaluation", digest));
		}
	}

	private Map<String, Double> evaluateCalm(Report report, Path directory, ModelKind kind, int patchSize,
			TokenStore data) {
		ProgramOptions program = this.compute.evaluation();
		AutoencoderScore reconstruction = new AutoencoderScoring(this.scoring.seed()).score(directory, data, program);
		report.put("autoencoderAccuracy", reconstruction.accuracy())
			.put("autoencoderAccuracyUnderNoise", reconstruction.noisyAccuracy());
		Map<String, Double> scores = new TreeMap<>(Map.of("autoencoder_accuracy", reconstruction.accuracy()));
		if (kind.isCalm()) {
			BrierScore score = new BrierScoring(this.scoring.patches(patchSize), 2, this.scoring.limit(),
					this.scoring.seed())
				.score(directory, data, program);
			report.put("block", this.scoring.block());
			put(report, score);
			scores.putAll(score.byName());
		}
		return scores;
	}

	private Map<String, Double> evaluateBaseline(Report report, Path directory, TokenStore data) {
		LikelihoodScore score = new LikelihoodScoring(this.scoring.patches(this.patchSize), this.patchSize, 2,
				this.scoring.limit(), this.scoring.seed())
			.score(directory, data, this.compute.evaluation());
		report.put("block", this.scoring.block())
			.put("crossEntropy", score.crossEntropy())
			.put("crossEntropyError", score.crossEntropyError())
			.put("perplexity", score.perplexity())
			.put("perplexityError", score.perplexityError())
			.put("predictedTokens", score.tokens())
			.put("everyPosition", put(new Report(), score.everyPosition()))
			.put("patchAligned", put(new Report().put("patchSize", this.patchSize), score.patchAligned()));
		Map<String, Double> scores = score.patchAligned().byName();
		scores.put("cross_entropy", score.crossEntropy());
		scores.put("perplexity", score.perplexity());
		return scores;
	}

	private Map<String, Double> evaluateAnswers(Report report, Path directory, Corpus text) {
		try (GenerationEngine engine = GenerationEngine.open(directory,
				(options) -> options.program(this.compute.evaluation()))) {
			ExactMatch match = new ExactMatchScoring(this.temperature, this.scoring.limit(), this.scoring.seed())
				.score(engine, text);
			report.put("answers", match.answers())
				.put("exactMatch", match.share())
				.put("exactMatchError", match.error());
			return Map.of("exact_match", match.share(), "exact_match_error", match.error());
		}
	}

	private static Report put(Report report, BrierScore score) {
		return report.put("positions", score.positions())
			.put("brier", score.brier())
			.put("brierLM", score.brierLm())
			.put("error", score.error());
	}

}

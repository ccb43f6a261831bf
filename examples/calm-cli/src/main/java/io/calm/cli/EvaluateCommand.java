package io.calm.cli;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.evaluation.AutoencoderScore;
import io.calm.evaluation.BrierLm;
import io.calm.evaluation.BrierScore;
import io.calm.evaluation.ExactMatch;
import io.calm.evaluation.LikelihoodScore;
import io.calm.evaluation.LikelihoodScoring;
import io.calm.generation.GenerationEngine;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
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
		description = "Score a model on text: Brier-1..4 and BrierLM, and the autoencoder's accuracy"
				+ " or the baseline's cross entropy and perplexity. Of prompts with answers, only the answers count.")
final class EvaluateCommand extends Subcommand {

	@Parameters(paramLabel = "DIR", arity = "0..1", description = "The model directory.")
	private @Nullable Path directory;

	@Option(names = "--corpus", required = true, arity = "1..*", paramLabel = "PATH",
			description = "Text: .txt, .jsonl, .gz of both, or directories of them.")
	private List<Path> corpus = List.of();

	@Option(names = "--json-field", defaultValue = "text",
			description = "Field of .jsonl that holds the text (default: ${DEFAULT-VALUE}).")
	private String jsonField = "text";

	@Option(names = "--block", defaultValue = "512",
			description = "Tokens per block. The score depends on it (default: ${DEFAULT-VALUE}).")
	private int block;

	@Option(names = "--patch-size", defaultValue = "4",
			description = "For a baseline: K of the CALM model to compare with, for scores at the same positions "
					+ "(default: ${DEFAULT-VALUE}).")
	private int patchSize;

	@Option(names = "--limit", defaultValue = "0", description = "Maximum number of positions to score (default: all).")
	private long limit;

	@Option(names = "--exact-match",
			description = "Let the model answer the prompts of the corpus, and count the answers that are the same word "
					+ "for word. --limit is also the maximum number of answers.")
	private boolean exactMatch;

	@Option(names = "--temperature", defaultValue = "0.2",
			description = "Temperature of the answers for --exact-match (default: ${DEFAULT-VALUE}).")
	private double temperature;

	@Option(names = "--seed", defaultValue = "1", description = "Seed of the draws (default: ${DEFAULT-VALUE}).")
	private long seed;

	@Mixin
	private ComputeOptions compute = new ComputeOptions();

	@Override
	Report run() {
		List<Path> texts = this.corpus;
		Path directory = this.directory;
		if (directory == null) {
			// --corpus takes all that follows it, the model directory too
			directory = texts.get(texts.size() - 1);
			texts = texts.subList(0, texts.size() - 1);
			if (texts.isEmpty() || !Files.isRegularFile(directory.resolve(ModelDirectory.CONFIG))) {
				throw new InvalidInputException("DIR", "is missing", "name the model directory before --corpus");
			}
		}
		return evaluate(directory, texts);
	}

	private Report evaluate(Path directory, List<Path> texts) {
		if (!this.exactMatch) {
			refuse("an evaluation without --exact-match", "--temperature");
		}
		ModelDirectory model = ModelDirectory.open(directory);
		Path tokenizerFile = model.tokenizer()
			.orElseThrow(() -> new InvalidInputException(directory.toString(), "has no tokenizer.json",
					"copy the one that the model was trained with into the directory"));
		ModelKind kind;
		try (TensorFile weights = model.weights()) {
			kind = ModelKind.of(directory, weights);
		}
		Corpus text = Corpus.of((options) -> options.paths(texts.toArray(Path[]::new)).jsonField(this.jsonField));
		try (Tokenizer tokenizer = Tokenizer.load(tokenizerFile)) {
			ModelConfigs.checkVocabulary(model, tokenizer.vocabularySize());
			try (TokenStore data = TokenStore.of(text, tokenizer)) {
				Report report = new Report().put("documents", data.documents()).put("tokens", data.tokens());
				if (kind == ModelKind.BASELINE) {
					evaluateBaseline(report, directory, data);
				}
				else {
					refuse("this model, which has a patch size of its own,", "--patch-size");
					evaluateCalm(report, directory, kind, model.config().integer("patch_size", 1, 1 << 24), data);
				}
				if (this.exactMatch) {
					evaluateAnswers(report, directory, text);
				}
				return report;
			}
		}
	}

	private void evaluateCalm(Report report, Path directory, ModelKind kind, int patchSize, TokenStore data) {
		ProgramOptions program = this.compute.evaluation();
		AutoencoderScore reconstruction = AutoencoderScore.of(directory, data, program, this.seed);
		report.put("autoencoderAccuracy", reconstruction.accuracy())
			.put("autoencoderAccuracyUnderNoise", reconstruction.noisyAccuracy());
		if (kind.isCalm()) {
			BrierScore score = new BrierLm(Math.max(2, this.block / patchSize), 2, this.limit, this.seed)
				.score(directory, data, program);
			report.put("block", this.block);
			put(report, score);
		}
	}

	private void evaluateBaseline(Report report, Path directory, TokenStore data) {
		LikelihoodScore score = new LikelihoodScoring(Math.max(2, this.block / Math.max(1, this.patchSize)),
				this.patchSize, 2, this.limit, this.seed)
			.score(directory, data, this.compute.evaluation());
		report.put("block", this.block)
			.put("crossEntropy", score.crossEntropy())
			.put("crossEntropyError", score.crossEntropyError())
			.put("perplexity", score.perplexity())
			.put("perplexityError", score.perplexityError())
			.put("predictedTokens", score.tokens())
			.put("everyPosition", put(new Report(), score.everyPosition()))
			.put("patchAligned", put(new Report().put("patchSize", this.patchSize), score.patchAligned()));
	}

	private void evaluateAnswers(Report report, Path directory, Corpus text) {
		try (GenerationEngine engine = GenerationEngine.open(directory,
				(options) -> options.program(this.compute.evaluation()))) {
			ExactMatch match = ExactMatch.of(engine, text, this.temperature, this.limit, this.seed);
			report.put("answers", match.answers())
				.put("exactMatch", match.share())
				.put("exactMatchError", match.error());
		}
	}

	private static Report put(Report report, BrierScore score) {
		return report.put("positions", score.positions())
			.put("brier", score.brier())
			.put("brierLM", score.brierLm())
			.put("error", score.error());
	}

}

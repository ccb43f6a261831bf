package io.calm.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

import io.calm.checkpoint.ModelDirectory;
import io.calm.evaluation.BrierComparison;
import io.calm.evaluation.BrierScore;
import io.calm.input.InvalidInputException;
import io.calm.model.ModelConfigs;
import io.calm.text.TokenStore;
import io.calm.text.Tokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Tells which of two models is better. */
@Command(name = "compare",
		description = "Find out which of two models has the higher BrierLM on a text, and whether the difference "
				+ "exceeds its error. Both are scored at the same positions, with the same seed.")
final class CompareCommand extends Subcommand {

	@Parameters(paramLabel = "MODEL", index = "0",
			description = "A model directory, or an address such as models:/stories@champion.")
	private String first = "";

	@Parameters(paramLabel = "MODEL", index = "1", description = "The model to compare it with, likewise.")
	private String second = "";

	@Option(names = "--patch-size", defaultValue = "4",
			description = "For two baselines: the number of tokens from one scored position to the next (default: "
					+ "${DEFAULT-VALUE}).")
	private int patchSize;

	@Mixin
	private ScoringOptions scoring = new ScoringOptions();

	@Mixin
	private RegistryOption registry = new RegistryOption();

	@Mixin
	private ComputeOptions compute = new ComputeOptions();

	@Override
	Report run() {
		Path first = this.registry.directory(this.first);
		Path second = this.registry.directory(this.second);
		Path tokenizerFile = ModelDirectory.open(first).requiredTokenizer();
		checkSame(tokenizerFile, ModelDirectory.open(second).requiredTokenizer());
		try (Tokenizer tokenizer = Tokenizer.load(tokenizerFile)) {
			for (Path model : List.of(first, second)) {
				ModelConfigs.checkVocabulary(ModelDirectory.open(model), tokenizer.vocabularySize());
			}
			try (TokenStore data = TokenStore.of(this.scoring.text(this.scoring.corpus()), tokenizer)) {
				return report(BrierComparison.of(first, second, data, new BrierComparison.Setting(this.scoring.block(),
						this.patchSize, this.scoring.limit(), this.scoring.seed()), this.compute.evaluation()));
			}
		}
	}

	private Report report(BrierComparison comparison) {
		String better = (comparison.difference() > 0) ? this.second : this.first;
		return new Report().put("block", this.scoring.block())
			.put("positions", comparison.first().positions())
			.put("first", score(this.first, comparison.first()))
			.put("second", score(this.second, comparison.second()))
			.put("difference", comparison.difference())
			.put("error", comparison.error())
			.put("better", comparison.sure() ? better : "neither: the difference is less than twice its error");
	}

	private static Report score(String model, BrierScore score) {
		return new Report().put("model", model)
			.put("brier", score.brier())
			.put("brierLM", score.brierLm())
			.put("error", score.error());
	}

	private static void checkSame(Path tokenizer, Path other) {
		try {
			if (Files.mismatch(tokenizer, other) >= 0) {
				throw new InvalidInputException(other.toString(), "is another tokenizer than " + tokenizer,
						"compare models that were trained with the same one");
			}
		}
		catch (IOException ex) {
			throw new InvalidInputException(other.toString(), "cannot be read (" + ex + ")", "check the permissions",
					ex);
		}
	}

}

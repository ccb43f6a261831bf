package io.calm.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.stream.IntStream;

import io.calm.evaluation.ContinuationScore;
import io.calm.evaluation.ContinuationScoring;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Tells how well given texts continue a prompt. */
@Command(name = "score",
		description = "Score how well given texts continue a prompt, by comparing them with the model's own draws: the "
				+ "energy score and Brier-1..4 of one text, patch by patch, or of several texts, best first.")
final class ScoreCommand extends Subcommand {

	@Parameters(paramLabel = "DIR", description = "The model directory.")
	private Path directory = Path.of("model");

	@Option(names = "--prompt", defaultValue = "",
			description = "The beginning of the text, which is not scored (default: none).")
	private String prompt = "";

	@Option(names = "--text", required = true, paramLabel = "TEXT",
			description = "What follows the prompt. May be given several times: then the texts are compared.")
	private List<String> texts = List.of();

	@Option(names = "--open",
			description = "The texts are unfinished: they do not end with EOS, and an incomplete last patch is left "
					+ "out.")
	private boolean open;

	@Option(names = "--samples", defaultValue = "100", paramLabel = "N",
			description = "Draws for each patch; more make scores more precise (default: ${DEFAULT-VALUE}).")
	private int samples;

	@Option(names = "--seed", defaultValue = "1", description = "Seed of the draws (default: ${DEFAULT-VALUE}).")
	private long seed;

	@Mixin
	private ComputeOptions compute = new ComputeOptions();

	@Override
	Report run() {
		List<ContinuationScore> scores = new ContinuationScoring(this.samples, !this.open, this.seed)
			.score(this.directory, this.prompt, this.texts, this.compute.evaluation());
		if (scores.size() == 1) {
			return withPatches(scores.get(0));
		}
		Report report = new Report();
		IntStream.range(0, scores.size())
			.boxed()
			.sorted((one, other) -> Double.compare(scores.get(other).energy(), scores.get(one).energy()))
			.forEach((i) -> report.put(Integer.toString(i + 1), summary(scores.get(i)).put("text", this.texts.get(i))));
		return report;
	}

	private static Report summary(ContinuationScore score) {
		return new Report().put("energy", score.energy()).put("brier", values(score.brier()));
	}

	private static Report withPatches(ContinuationScore score) {
		Report patches = new Report();
		for (int i = 0; i < score.patches().size(); i++) {
			ContinuationScore.Patch patch = score.patches().get(i);
			patches.put(Integer.toString(i + 1),
					new Report().put("text", "'" + patch.text() + "'")
						.put("energy", patch.energy())
						.put("brier", values(patch.brier()))
						.put("share", patch.share()));
		}
		return summary(score).put("patches", patches);
	}

	private static double[] values(List<Double> brier) {
		return brier.stream().mapToDouble(Double::doubleValue).toArray();
	}

}

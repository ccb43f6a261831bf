package io.calm.cli.ablate;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;

import io.calm.evaluation.AutoencoderScoring;
import io.calm.evaluation.BrierScore;
import io.calm.evaluation.BrierScoring;
import io.calm.evaluation.LikelihoodScore;
import io.calm.evaluation.LikelihoodScoring;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.mlflow.MlflowStudy;
import io.calm.training.Evaluation;
import io.calm.training.Phase;
import io.calm.training.TrainingListener;
import org.jspecify.annotations.Nullable;

/**
 * Trains and scores the arms of a study one after the other, and goes on where it was
 * interrupted: arms with a result are done, an arm without one continues from its
 * checkpoint.
 */
public final class Laboratory {

	private static final int SCORED_BLOCKS = 8;

	/** What is left for scoring. */
	private static final double TRAINING_SHARE = 0.75;

	private final Scale scale;

	private final Material material;

	private final Bench bench;

	private final ProgramOptions inference;

	private final Function<String, TrainingListener> progress;

	private final Function<String, Optional<MlflowStudy>> tracking;

	/**
	 * A laboratory.
	 * @param scale sizes and lengths
	 * @param material what to train and score on; stays the caller's
	 * @param training device, precision and fusion
	 * @param inference likewise
	 * @param progress gives a listener to each arm, by its name
	 * @param tracking follows the study, by the key that names it for ever, or nothing;
	 * closed when the study is done
	 */
	public Laboratory(Scale scale, Material material, ProgramOptions training, ProgramOptions inference,
			Function<String, TrainingListener> progress, Function<String, Optional<MlflowStudy>> tracking) {
		this.scale = scale;
		this.material = material;
		this.bench = new Bench(scale, material, training);
		this.inference = inference;
		this.progress = progress;
		this.tracking = tracking;
	}

	/**
	 * Does a study, or what is left of it.
	 * @param study what to compare
	 * @param output the directory of models and results
	 * @return what was found, written there as well
	 */
	public StudyReport run(Study study, Path output) {
		// whatever cannot be built is refused before anything is written
		study.arms().forEach(this.bench::flops);
		if (study.measure() == Study.Measure.TEMPERATURE && this.scale.patchSize() < BrierScore.LENGTH) {
			throw new InvalidInputException("--patch-size " + this.scale.patchSize(),
					"is too small for this study, which compares 4 tokens of a patch", "choose at least 4");
		}
		if (this.material.unseen().tokens() < this.scale.block()) {
			throw new InvalidInputException("text to score on",
					"has " + this.material.unseen().tokens() + " tokens, fewer than --block " + this.scale.block(),
					"give more of it, or a smaller block");
		}
		Notebook notebook = new Notebook(output);
		String settings = study.name() + ", " + this.scale + ", data " + this.material.data().digest();
		Notebook.Plan plan = notebook.plan(settings).orElseGet(() -> {
			Notebook.Plan planned = new Notebook.Plan(settings, plan(study, output.resolve("trial")));
			notebook.write(planned);
			return planned;
		});
		try (@Nullable
		MlflowStudy tracked = this.tracking.apply(plan.key()).orElse(null)) {
			StudyReport report = report(study, plan, notebook, tracked);
			List<Path> files = report.write(notebook);
			if (tracked != null) {
				files.forEach(tracked::artifact);
				tracked.finish();
			}
			return report;
		}
	}

	private StudyReport report(Study study, Notebook.Plan plan, Notebook notebook, @Nullable MlflowStudy tracked) {
		List<Point> points = new ArrayList<>();
		for (Arm arm : study.arms()) {
			points.addAll(notebook.points(arm).orElseGet(() -> {
				List<Point> found = trainAndMeasure(study, arm, plan.steps(), notebook, tracked);
				if (tracked != null) {
					tell(tracked, study, arm, found);
				}
				notebook.write(arm, found);
				return found;
			}));
		}
		List<Point> way = study.arms()
			.stream()
			.flatMap((arm) -> StudyReport.way(arm, notebook.way(arm.fileName())).stream())
			.toList();
		return new StudyReport(study, this.scale, this.material, points, way);
	}

	/** What was measured of an arm, and nothing is noted down that is not kept there. */
	private static void tell(MlflowStudy tracked, Study study, Arm arm, List<Point> found) {
		if (study.measure() != Study.Measure.TEMPERATURE) {
			for (Point point : found) {
				Map<String, Double> scores = new LinkedHashMap<>(point.more());
				scores.put(BrierScore.BRIER_LM, point.y());
				scores.put(BrierScore.BRIER_LM + "_error", point.error());
				scores.values().removeIf((value) -> value.isNaN());
				tracked.scores(arm.name(), point.more().getOrDefault("steps", 0.0).longValue(), scores);
			}
		}
		tracked.keep();
	}

	/** The steps of each arm. */
	private Map<String, Long> plan(Study study, Path trial) {
		double steps = (this.scale.steps() > 0) ? this.scale.steps() : stepsInTime(study, trial);
		Map<String, Long> planned = new LinkedHashMap<>();
		study.arms().forEach((arm) -> planned.put(arm.name(), Math.max(1, Math.round(steps * share(study, arm)))));
		return planned;
	}

	/** The steps of an arm for each step of the first one. */
	private double share(Study study, Arm arm) {
		double first = this.bench.flops(study.arms().get(0)).training();
		return this.scale.equalFlops() ? first / this.bench.flops(arm).training() : 1;
	}

	/**
	 * How many steps of the first arm fit into the minutes, with all that belongs to
	 * them.
	 */
	private double stepsInTime(Study study, Path trial) {
		double milliseconds = 0;
		Map<Path, Double> ofAutoencoder = new HashMap<>();
		Map<Path, Double> longest = new HashMap<>();
		try {
			for (Arm arm : study.arms()) {
				Path autoencoder = this.bench.autoencoderIn(trial, arm);
				double share = share(study, arm);
				if (!arm.baseline()) {
					ofAutoencoder.computeIfAbsent(autoencoder,
							(directory) -> this.bench.tryAutoencoder(arm, directory));
					longest.merge(autoencoder, share, Math::max);
				}
				milliseconds += share * this.bench.tryModel(arm, autoencoder, trial.resolve(arm.fileName()));
			}
		}
		finally {
			Notebook.delete(trial);
		}
		for (Map.Entry<Path, Double> share : longest.entrySet()) {
			milliseconds += share.getValue() * this.scale.autoencoderShare()
					* ofAutoencoder.getOrDefault(share.getKey(), 0.0);
		}
		return TRAINING_SHARE * this.scale.minutes() * 60_000 / milliseconds;
	}

	private List<Point> trainAndMeasure(Study study, Arm arm, Map<String, Long> planned, Notebook notebook,
			@Nullable MlflowStudy tracked) {
		long start = System.nanoTime();
		Path output = notebook.directory();
		Path model = output.resolve("models").resolve(arm.fileName());
		Path autoencoder = this.bench.autoencoderIn(output, arm);
		long steps = planned.getOrDefault(arm.name(), 1L);
		List<TrainingListener> listeners = new ArrayList<>(List.of(this.progress.apply(arm.name())));
		if (tracked != null) {
			listeners.add(tracked.training(arm.name(),
					Map.of("arm", arm.name(), "study", study.name(), "steps", Long.toString(steps))));
		}
		boolean scoredOnTheWay = study.measure() == Study.Measure.BRIER_LM_OVER_FLOPS && arm.baseline();
		if (scoredOnTheWay) {
			listeners.add(notebook.keepingWay(arm.fileName()));
		}
		Evaluation evaluation = scoredOnTheWay ? (checkpoint) -> likelihood(scoreBaseline(checkpoint, arm))
				: Evaluation.NONE;
		List<Phase> phases = arm.baseline() ? List.of(Phase.BASELINE)
				: List.of(Phase.AUTOENCODER, Phase.LANGUAGE_MODEL);
		TrainingListener.follow(listeners, phases, () -> {
			if (!arm.baseline()) {
				long longest = longest(study, autoencoder, output, planned);
				this.bench.trainAutoencoder(arm, this.scale.autoencoderSteps(longest), autoencoder, listeners);
			}
			return this.bench.trainModel(arm, steps, autoencoder, model, listeners, evaluation);
		});
		if (study.measure() == Study.Measure.TEMPERATURE) {
			return new TemperatureCurves(this.material, this.scale, this.inference).of(model, arm.baseline());
		}
		Map<String, Double> more = new LinkedHashMap<>();
		more.put("steps", (double) steps);
		more.put("seconds", (System.nanoTime() - start) / 1e9);
		double operations = this.bench.flops(arm).training() * steps * this.scale.batch() * this.scale.block();
		more.put("training_flops", operations);
		more.put("inference_flops_per_token", this.bench.flops(arm).inference());
		BrierScore score;
		if (arm.baseline()) {
			LikelihoodScore likelihood = scoreBaseline(model, arm);
			more.putAll(likelihood(likelihood));
			score = likelihood.patchAligned();
		}
		else {
			more.put("autoencoder_accuracy", accuracy(autoencoder));
			score = scoreCalm(model, arm);
		}
		for (int n = 1; n <= BrierScore.LENGTH; n++) {
			more.put("brier_" + n, score.brier()[n - 1]);
		}
		more.put("positions", (double) score.positions());
		return List.of(new Point(arm.baseline() ? "baseline" : "CALM", arm.name(), operations, score.brierLm(),
				score.error(), more));
	}

	private double accuracy(Path autoencoder) {
		return new AutoencoderScoring(this.scale.seed()).score(autoencoder, this.material.unseen(), this.inference)
			.accuracy();
	}

	private BrierScore scoreCalm(Path model, Arm arm) {
		int patches = this.scale.patches(this.bench.patchSize(arm));
		return new BrierScoring(patches, SCORED_BLOCKS, this.scale.positions(), this.scale.seed()).score(model,
				this.material.unseen(), this.inference);
	}

	/** The steps of the longest arm that shares an autoencoder. */
	private long longest(Study study, Path autoencoder, Path output, Map<String, Long> planned) {
		return study.arms()
			.stream()
			.filter((arm) -> !arm.baseline() && this.bench.autoencoderIn(output, arm).equals(autoencoder))
			.mapToLong((arm) -> planned.getOrDefault(arm.name(), 1L))
			.max()
			.orElseThrow();
	}

	private LikelihoodScore scoreBaseline(Path model, Arm arm) {
		int size = this.bench.patchSize(arm);
		return new LikelihoodScoring(this.scale.patches(size), size, SCORED_BLOCKS, this.scale.positions(),
				this.scale.seed())
			.score(model, this.material.unseen(), this.inference);
	}

	private static Map<String, Double> likelihood(LikelihoodScore score) {
		Map<String, Double> scores = new LinkedHashMap<>();
		scores.put("cross_entropy", score.crossEntropy());
		scores.put("cross_entropy_error", score.crossEntropyError());
		scores.put("brier_lm_every_position", score.everyPosition().brierLm());
		scores.put("brier_lm_every_position_error", score.everyPosition().error());
		return scores;
	}

}

package io.calm.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Objects;

import io.calm.checkpoint.OutputLock;
import io.calm.cli.ablate.Notebook;
import io.calm.cli.sweep.Entrant;
import io.calm.cli.sweep.Race;
import io.calm.cli.sweep.Sweep;
import io.calm.cli.sweep.SweepReport;
import io.calm.input.InvalidInputException;
import io.calm.mlflow.MlflowStudy;
import io.calm.text.TokenCache;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Tries values of options. */
@Command(name = "sweep",
		description = "Train models with different values of some options, compare them by BrierLM, and write "
				+ "results.csv, parallel.png and report.md. The same command resumes an interrupted sweep.")
final class SweepCommand extends Subcommand {

	@Parameters(paramLabel = "SWEEP", arity = "0..1",
			description = "A YAML file with the keys run (a file for 'calm train', or its options), parameters (values "
					+ "or a range for each option), halving, and the options of this command without their dashes. The "
					+ "command line overrides them.")
	private @Nullable Path file;

	@Option(names = "--output", paramLabel = "DIR", description = "Directory for models and results. Required.")
	private @Nullable Path output;

	@Option(names = "--method", defaultValue = "grid",
			description = "How values are chosen: grid (every combination) or random (default: ${DEFAULT-VALUE}).")
	private Sweep.Method method = Sweep.Method.GRID;

	@Option(names = "--trials", defaultValue = "0",
			description = "Number of combinations to draw, with --method=random.")
	private int trials;

	@Option(names = "--seed", defaultValue = "1",
			description = "Seed for drawing combinations. Trials use the seed of the run (default: ${DEFAULT-VALUE}).")
	private long seed;

	@Option(names = "--equal",
			description = "What is the same for all trials: steps, as in the run; or flops, the operations that the "
					+ "language model of the run takes without parameters (default: flops with halving, otherwise "
					+ "steps).")
	private SweepPlan.@Nullable Equal equal;

	@Option(names = "--parallel", paramLabel = "N", defaultValue = "1",
			description = "How many trials train at the same time, in this process (default: ${DEFAULT-VALUE}).")
	private int parallel;

	@Option(names = "--mlflow", paramLabel = "URI",
			description = "Track the sweep on this MLflow server, as a run with a nested run for each trial.")
	private @Nullable String mlflow;

	@Option(names = "--mlflow-experiment", paramLabel = "NAME",
			description = "The experiment (default: MLFLOW_EXPERIMENT_NAME, else Default).")
	private @Nullable String mlflowExperiment;

	@Option(names = "--dry-run", description = "Check everything and list the trials. Write nothing.")
	private boolean dryRun;

	@Override
	Report run() {
		if (this.file == null) {
			throw new InvalidInputException("SWEEP", "is missing", "name the file of a sweep");
		}
		CommandSpec train = Objects.requireNonNull(spec().root().subcommands().get("train")).getCommandSpec();
		SweepFile sweepFile = SweepFile.read(this.file, spec(), train);
		readOptions(sweepFile.name(), sweepFile.options());
		if (this.output == null) {
			throw new InvalidInputException("--output", "is missing", "name the directory for models and results");
		}
		if (this.parallel < 1) {
			throw new InvalidInputException("--parallel", "is " + this.parallel, "choose at least 1");
		}
		Path output = this.output;
		if (this.dryRun) {
			try (WorkDirectory work = WorkDirectory.create()) {
				return list(plan(sweepFile, output, TokenCache.in(work.path())));
			}
		}
		try (OutputLock lock = OutputLock.of(output)) {
			return run(plan(sweepFile, output, TokenCache.in(output.resolve("tokens"))));
		}
	}

	private SweepPlan plan(SweepFile sweepFile, Path output, TokenCache tokens) {
		try {
			Sweep sweep = new Sweep(sweepFile.parameters(), this.method, this.trials, this.seed);
			return SweepPlan.of(sweepFile, sweep, this.equal, output, tokens);
		}
		catch (InvalidInputException ex) {
			throw ex.in(sweepFile.name());
		}
	}

	private static Report list(SweepPlan plan) {
		Report report = new Report().put("trials", plan.entrants().size()).put("rungs", plan.halving().rungs());
		int racing = plan.entrants().size();
		for (int rung = 0; rung < plan.halving().rungs() && plan.halving().rungs() > 1; rung++) {
			long part = plan.halving().part(rung);
			report.put("rung " + (rung + 1), racing + ((racing == 1) ? " trial, " : " trials, ")
					+ ((part == 1) ? "all steps" : "1/" + part + " of the steps"));
			racing = plan.halving().goOn(racing);
		}
		for (Entrant entrant : plan.entrants()) {
			Report trial = new Report();
			entrant.trial().values().forEach(trial::put);
			report.put(entrant.trial().name(), trial.put("steps", entrant.steps())
				.put("trainingOperations", entrant.steps() * entrant.flopsPerStep()));
		}
		return report;
	}

	private Report run(SweepPlan plan) {
		Notebook notebook = new Notebook(plan.output());
		Notebook.Plan settled = notebook.plan(plan.settings()).orElseGet(() -> {
			Notebook.Plan begun = new Notebook.Plan(plan.settings(), plan.steps());
			notebook.write(begun);
			return begun;
		});
		try (@Nullable
		MlflowStudy study = study(settled.key(), plan)) {
			SweepReport found = new Race(plan.halving(), this.parallel, notebook, study,
					(trial) -> new TrainingProgress(this, trial.name() + ", "))
				.run(plan.sweep().parameters(), plan.entrants());
			List<Path> files = found.write(notebook);
			if (study != null) {
				files.forEach(study::artifact);
				study.finish();
			}
			return report(plan, found);
		}
	}

	private Report report(SweepPlan plan, SweepReport found) {
		Report report = new Report();
		if (found.best().isEmpty()) {
			note("no trial has a score; " + plan.output().resolve("report.md") + " says why");
		}
		found.best().ifPresent((best) -> {
			Report values = new Report();
			best.values().forEach(values::put);
			report.put("best", best.name())
				.put("values", values)
				.put("brierLM", found.bestBrierLm())
				.put("model", plan.model(best).toString());
		});
		return report.put("output", plan.output().toString());
	}

	private @Nullable MlflowStudy study(String key, SweepPlan plan) {
		String uri = this.mlflow;
		return (uri == null) ? null : MlflowStudy.of(key, plan.output(), plan.params(), (options) -> {
			options.trackingUri(uri).run(String.valueOf(plan.output().toAbsolutePath().normalize().getFileName()));
			if (this.mlflowExperiment != null) {
				options.experiment(this.mlflowExperiment);
			}
		});
	}

	/** Trials side by side would draw over each other. */
	@Override
	ProgressBar progress(String label, long total) {
		return (this.parallel > 1) ? progress(label, total, ProgressBar.Style.LINES) : super.progress(label, total);
	}

}

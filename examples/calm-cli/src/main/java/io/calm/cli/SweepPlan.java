package io.calm.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

import io.calm.cli.sweep.Entrant;
import io.calm.cli.sweep.Halving;
import io.calm.cli.sweep.Sweep;
import io.calm.cli.sweep.Trial;
import io.calm.input.InvalidInputException;
import io.calm.text.TokenCache;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ParameterException;

/**
 * What a sweep is to do, and how much of it: every trial as a training that was checked.
 *
 * @param file that says it
 * @param sweep what it tries
 * @param halving how many go on
 * @param equal what all trials get equally
 * @param entrants all trials
 * @param output the directory for models and results
 */
record SweepPlan(SweepFile file, Sweep sweep, Halving halving, Equal equal, List<Entrant> entrants, Path output) {

	/** What all trials get equally. */
	enum Equal {

		STEPS, FLOPS

	}

	/**
	 * Plans a sweep.
	 * @param file that says it
	 * @param sweep what it tries
	 * @param equal what all trials get equally; null for what is usual
	 * @param output the directory for models and results
	 * @param tokens where tokenizers are kept that are learned
	 * @throws InvalidInputException if a trial would be refused
	 */
	static SweepPlan of(SweepFile file, Sweep sweep, @Nullable Equal equal, Path output, TokenCache tokens) {
		Equal chosen = equal(file, sweep, equal);
		SharedAutoencoders shared = new SharedAutoencoders(output.resolve("autoencoders"));
		TrainCommand whole = training(file, "run", output.resolve("model"), Map.of(), output);
		double operations = (chosen == Equal.FLOPS) ? flopsPerStep("run", whole, tokens) * whole.steps() : 0;
		List<Entrant> entrants = new ArrayList<>();
		for (Trial trial : sweep.list()) {
			String name = trial.name() + " (" + trial.description() + ")";
			Path model = model(output, trial);
			TrainCommand training = training(file, name, model, trial.values(), output);
			double flops = flopsPerStep(name, training, tokens);
			if (chosen == Equal.FLOPS) {
				training.setSteps(Math.max(1, Math.round(operations / flops)));
			}
			entrants.add(new Entrant(trial, training.steps(), flops, model,
					(step, listeners) -> training.trainUntil(step, shared, listeners)));
		}
		return new SweepPlan(file, sweep, halving(file, entrants.size(), whole.steps()), chosen, entrants, output);
	}

	private static Equal equal(SweepFile file, Sweep sweep, @Nullable Equal equal) {
		boolean halves = file.halving() != null;
		Equal chosen = (equal != null) ? equal : halves ? Equal.FLOPS : Equal.STEPS;
		if (halves && chosen == Equal.STEPS) {
			throw new InvalidInputException("equal", "is steps, and halving compares at equal operations",
					"leave one of them out");
		}
		if (chosen == Equal.FLOPS
				&& sweep.parameters().stream().anyMatch((parameter) -> parameter.key().equals("steps"))) {
			throw new InvalidInputException("parameters, steps", "cannot differ where all trials get equal operations",
					"leave it out, or write \"equal: steps\"");
		}
		return chosen;
	}

	private static Halving halving(SweepFile file, int trials, long steps) {
		SweepFile.HalvingKeys keys = file.halving();
		if (keys == null) {
			return Halving.NONE;
		}
		return (keys.rungs() > 0) ? new Halving(keys.rungs(), keys.factor())
				: Halving.of(trials, keys.factor(), steps, keys.minimumSteps());
	}

	private static TrainCommand training(SweepFile file, String name, Path model, Map<String, String> values,
			Path output) {
		List<String> arguments = new ArrayList<>(List.of("--output=" + model));
		if (!file.run().containsKey("tokens")) {
			arguments.add("--tokens=" + output.resolve("tokens"));
		}
		arguments.addAll(file.arguments(values));
		try {
			return TrainCommand.of(arguments).checkForSweep();
		}
		catch (InvalidInputException ex) {
			throw ex.in(name);
		}
		catch (ParameterException ex) {
			throw new InvalidInputException(name, "has a value that does not fit (" + ex.getMessage() + ")",
					"correct it; see 'calm train --help'", ex);
		}
	}

	private static double flopsPerStep(String name, TrainCommand training, TokenCache tokens) {
		try {
			return training.flopsPerStep(tokens);
		}
		catch (InvalidInputException ex) {
			throw ex.in(name);
		}
	}

	private static Path model(Path output, Trial trial) {
		return output.resolve("trials").resolve(trial.name()).resolve("model");
	}

	/** The directory of a trial's model. */
	Path model(Trial trial) {
		return model(this.output, trial);
	}

	/** All that results depend on. */
	String settings() {
		return this.sweep + ", " + this.halving + ", equal " + this.equal + ", " + this.file.run().values();
	}

	/** Of the whole training of each trial, by its name. */
	Map<String, Long> steps() {
		Map<String, Long> steps = new LinkedHashMap<>();
		this.entrants.forEach((entrant) -> steps.put(entrant.trial().name(), entrant.steps()));
		return steps;
	}

	/** The sweep for MLflow. */
	Map<String, String> params() {
		Map<String, String> params = new LinkedHashMap<>();
		params.put("method", this.sweep.method().name().toLowerCase(Locale.ROOT));
		params.put("seed", Long.toString(this.sweep.seed()));
		params.put("trials", Integer.toString(this.entrants.size()));
		params.put("rungs", Integer.toString(this.halving.rungs()));
		params.put("factor", Integer.toString(this.halving.factor()));
		params.put("equal", this.equal.name().toLowerCase(Locale.ROOT));
		this.sweep.parameters().forEach((parameter) -> params.put("parameters." + parameter.key(), parameter.space()));
		return params;
	}

}

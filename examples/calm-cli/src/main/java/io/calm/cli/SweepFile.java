package io.calm.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

import io.calm.cli.sweep.Parameter;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * A sweep in a YAML file: the options of {@code calm sweep}, and what no option says.
 *
 * @param name of the file
 * @param options of the command as its arguments, by key
 * @param run options of {@code calm train} that all trials have, likewise
 * @param parameters what differs between trials
 * @param choices what each value of a parameter is as arguments, by key and value
 * @param halving what is said of it; null if nothing is
 */
record SweepFile(String name, Map<String, List<String>> options, Map<String, List<String>> run,
		List<Parameter> parameters, Map<String, Map<String, List<String>>> choices, @Nullable HalvingKeys halving) {

	static final String RUN = "run";

	static final String PARAMETERS = "parameters";

	static final String HALVING = "halving";

	static final List<String> OF_RANGES = List.of("values", "min", "max", "log");

	static final List<String> OF_HALVING = List.of("factor", "rungs", "minimum-steps");

	/** What a sweep sets itself, or what trials could not be compared by. */
	static final Set<String> NOT_VARIED = Set.of("output", "tokens", "evaluation-corpus", "patience", "sample",
			"mlflow", "mlflow-experiment", "trace", "workers", "join-timeout");

	/** Of a run alone: a sweep has a directory for each. */
	private static final List<String> REPLACED = List.of("output", "join-timeout");

	/**
	 * What a file says of successive halving.
	 *
	 * @param factor of the operations from one rung to the next
	 * @param rungs how many; 0 for as many as leave one trial
	 * @param minimumSteps of the first rung
	 */
	record HalvingKeys(int factor, int rungs, long minimumSteps) {
	}

	/**
	 * Reads a file.
	 * @param file of YAML
	 * @param sweep the command whose options it holds
	 * @param train the command whose options a run holds
	 * @throws InvalidInputException if it is not the file of a sweep
	 */
	static SweepFile read(Path file, CommandSpec sweep, CommandSpec train) {
		String where = file.toString();
		Map<String, OptionSpec> keys = RunFile.keys(sweep);
		Map<String, List<String>> options = new LinkedHashMap<>();
		Map<String, Object> parts = new LinkedHashMap<>();
		List<String> known = new ArrayList<>(keys.keySet());
		known.addAll(List.of(RUN, PARAMETERS, HALVING));
		RunFile.read(file).forEach((name, value) -> {
			String key = String.valueOf(name);
			if (!known.contains(key)) {
				throw RunFile.unknown(where, key, "key of a sweep", known, "see 'calm sweep --help'");
			}
			OptionSpec option = keys.get(key);
			if (option != null) {
				options.put(key, RunFile.arguments(where, key, option, value));
			}
			else {
				parts.put(key, value);
			}
		});
		Map<String, Map<String, List<String>>> choices = new LinkedHashMap<>();
		List<Parameter> parameters = parameters(where + ", " + PARAMETERS, parts.get(PARAMETERS), train, choices);
		Map<String, List<String>> run = run(where, parts.get(RUN), train);
		REPLACED.forEach(run::remove);
		// a run may say where it is tracked, and then the sweep is
		for (String key : List.of("mlflow", "mlflow-experiment")) {
			List<String> given = run.remove(key);
			if (given != null) {
				options.putIfAbsent(key, given);
			}
		}
		Object halving = parts.get(HALVING);
		return new SweepFile(where, options, run, parameters, choices,
				(halving != null) ? halving(where + ", " + HALVING, halving) : null);
	}

	private static Map<String, List<String>> run(String where, @Nullable Object run, CommandSpec train) {
		if (run instanceof String path && !path.isEmpty()) {
			return RunFile.arguments(Path.of(path), train);
		}
		if (run instanceof Map<?, ?> content) {
			return RunFile.arguments(where + ", " + RUN, content, train);
		}
		throw new InvalidInputException(where + ", " + RUN, "is missing, or neither a file nor a list of options",
				"name the file of a run, or write its keys below \"run:\"");
	}

	private static List<Parameter> parameters(String where, @Nullable Object parameters, CommandSpec train,
			Map<String, Map<String, List<String>>> choices) {
		if (!(parameters instanceof Map<?, ?> content)) {
			throw new InvalidInputException(where, "are missing, or no list of options",
					"write, for example, \"parameters: {learning-rate: [0.0003, 0.001]}\"");
		}
		Map<String, OptionSpec> keys = RunFile.keys(train);
		List<Parameter> all = new ArrayList<>();
		content.forEach((name, value) -> {
			String key = String.valueOf(name);
			OptionSpec option = RunFile.option(where, key, keys, train);
			if (NOT_VARIED.contains(key)) {
				throw new InvalidInputException(where + ", " + key, "cannot be varied",
						"set it in the run, or leave it out");
			}
			try {
				all.add(parameter(where, key, option, value,
						choices.computeIfAbsent(key, (k) -> new LinkedHashMap<>())));
			}
			catch (InvalidInputException ex) {
				throw ex.in(where + ", " + key);
			}
		});
		return all;
	}

	private static Parameter parameter(String where, String key, OptionSpec option, Object value,
			Map<String, List<String>> choices) {
		Object values = value;
		if (value instanceof Map<?, ?> range) {
			for (Object each : range.keySet()) {
				if (!OF_RANGES.contains(String.valueOf(each))) {
					throw RunFile.unknown(where + ", " + key, String.valueOf(each), "key of a parameter", OF_RANGES,
							"write values, or min, max and log");
				}
			}
			if (!range.containsKey("values")) {
				return new Parameter(key, List.of(), range(where + ", " + key, option, range));
			}
			if (range.size() > 1) {
				throw new InvalidInputException(where + ", " + key, "has values and a range", "choose one of them");
			}
			values = range.get("values");
		}
		if (!(values instanceof List<?> list)) {
			throw new InvalidInputException(where + ", " + key, "is one value, and nothing to vary",
					"list several, or set it in the run");
		}
		List<String> names = new ArrayList<>();
		for (Object each : list) {
			String name = (each instanceof List<?> several)
					? String.join(" ", several.stream().map(String::valueOf).toList()) : String.valueOf(each);
			names.add(name);
			choices.put(name, RunFile.arguments(where, key, option, each));
		}
		return new Parameter(key, names, null);
	}

	private static Parameter.Range range(String where, OptionSpec option, Map<?, ?> range) {
		Class<?> type = option.type();
		boolean whole = type == int.class || type == Integer.class || type == long.class || type == Long.class;
		if (!whole && type != double.class && type != Double.class) {
			throw new InvalidInputException(where, "is no number, and cannot be drawn from a range", "list values");
		}
		return new Parameter.Range(number(where, range, "min", whole), number(where, range, "max", whole),
				flag(where, range.get("log")), whole);
	}

	private static boolean flag(String where, @Nullable Object value) {
		if (value != null && !value.equals("true") && !value.equals("false")) {
			throw new InvalidInputException(where + ", log", "is \"" + value + "\"", "choose true or false");
		}
		return "true".equals(value);
	}

	private static double number(String where, Map<?, ?> content, String key, boolean whole) {
		Object value = content.get(key);
		try {
			String text = String.valueOf(value);
			return whole ? Long.parseLong(text) : Double.parseDouble(text);
		}
		catch (NumberFormatException ex) {
			throw new InvalidInputException(where + ", " + key, (value != null) ? "is \"" + value + "\"" : "is missing",
					whole ? "give a whole number" : "give a number", ex);
		}
	}

	private static HalvingKeys halving(String where, Object halving) {
		if (!(halving instanceof Map<?, ?> content)) {
			throw new InvalidInputException(where, "is no list of settings",
					"write, for example, \"halving: {factor: 2}\"");
		}
		for (Object each : content.keySet()) {
			if (!OF_HALVING.contains(String.valueOf(each))) {
				throw RunFile.unknown(where, String.valueOf(each), "key of halving", OF_HALVING,
						"write factor, rungs or minimum-steps");
			}
		}
		double factor = content.containsKey("factor") ? number(where, content, "factor", true) : 2;
		double rungs = content.containsKey("rungs") ? number(where, content, "rungs", true) : 0;
		double minimum = content.containsKey("minimum-steps") ? number(where, content, "minimum-steps", true) : 1;
		if (content.containsKey("rungs") && (rungs < 2 || rungs > 20)) {
			throw new InvalidInputException(where + ", rungs", "is " + (long) rungs, "choose a number from 2 to 20");
		}
		if (minimum < 1) {
			throw new InvalidInputException(where + ", minimum-steps", "is " + (long) minimum, "choose at least 1");
		}
		if (content.containsKey("rungs") && content.containsKey("minimum-steps")) {
			throw new InvalidInputException(where, "has rungs and minimum-steps", "choose one of them");
		}
		return new HalvingKeys((int) factor, (int) rungs, (long) minimum);
	}

	/**
	 * The arguments of {@code calm train} for a trial, without the options of a sweep.
	 */
	List<String> arguments(Map<String, String> values) {
		Map<String, List<String>> all = new LinkedHashMap<>(this.run);
		values.forEach((key, value) -> all.put(key,
				this.choices.getOrDefault(key, Map.of()).getOrDefault(value, List.of("--" + key + "=" + value))));
		List<String> arguments = new ArrayList<>();
		all.values().forEach(arguments::addAll);
		return arguments;
	}

}

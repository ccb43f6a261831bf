package io.calm.cli.sweep;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;

import io.calm.input.InvalidInputException;

/**
 * What a sweep tries.
 *
 * @param parameters what it varies
 * @param method how values are chosen
 * @param trials how many are drawn at random; 0 for all of a grid
 * @param seed of what is drawn
 */
public record Sweep(List<Parameter> parameters, Method method, int trials, long seed) {

	/** A grid of more is a mistake. */
	private static final int MOST = 999;

	/** How values are chosen. */
	public enum Method {

		/** Every combination. */
		GRID,
		/** As many as one wants, drawn at random. */
		RANDOM

	}

	/** Refuses what does not fit the method. */
	public Sweep {
		parameters = List.copyOf(parameters);
		if (parameters.isEmpty()) {
			throw new InvalidInputException("parameters", "are missing",
					"write, for example, \"parameters: {learning-rate: [0.0003, 0.001]}\"");
		}
		double combinations = 1;
		for (Parameter parameter : parameters) {
			if (parameter.range() == null) {
				combinations *= parameter.values().size();
			}
			else if (method == Method.GRID) {
				throw new InvalidInputException("parameter " + parameter.key(), "is a range, and a grid needs values",
						"list them, or choose \"method: random\"");
			}
			else {
				combinations = Double.POSITIVE_INFINITY;
			}
		}
		if (method == Method.GRID && trials != 0) {
			throw new InvalidInputException("trials", "has no meaning with a grid, which tries everything",
					"leave it out, or choose \"method: random\"");
		}
		if (method == Method.RANDOM && trials < 1) {
			throw new InvalidInputException("trials", "is " + trials, "say how many to draw, at least 1");
		}
		if (trials > combinations) {
			throw new InvalidInputException("trials", "is " + trials + ", of " + (long) combinations + " combinations",
					"choose fewer, or \"method: grid\"");
		}
		if (Math.max(trials, (method == Method.GRID) ? combinations : 0) > MOST) {
			throw new InvalidInputException("sweep", "has more than " + MOST + " trials", "choose fewer values");
		}
	}

	/**
	 * What is tried, the same in every call.
	 * @return the trials in their order
	 */
	public List<Trial> list() {
		Set<Map<String, String>> all = new LinkedHashSet<>();
		if (this.method == Method.GRID) {
			addGrid(new LinkedHashMap<>(), 0, all);
		}
		else {
			Random random = new Random(this.seed);
			for (int tries = 0; all.size() < this.trials; tries++) {
				if (tries > 1000 * this.trials) {
					throw new InvalidInputException("trials", "is " + this.trials + ", and ranges so narrow have fewer",
							"choose fewer, or wider ranges");
				}
				Map<String, String> values = new LinkedHashMap<>();
				this.parameters.forEach((parameter) -> values.put(parameter.key(), parameter.draw(random)));
				all.add(values);
			}
		}
		List<Trial> trials = new ArrayList<>();
		all.forEach((values) -> trials.add(new Trial(trials.size() + 1, values)));
		return trials;
	}

	/** The last parameter changes fastest. */
	private void addGrid(Map<String, String> values, int parameter, Set<Map<String, String>> all) {
		if (parameter == this.parameters.size()) {
			all.add(new LinkedHashMap<>(values));
			return;
		}
		Parameter varied = this.parameters.get(parameter);
		for (String value : varied.values()) {
			values.put(varied.key(), value);
			addGrid(values, parameter + 1, all);
		}
	}

}

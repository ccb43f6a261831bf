package io.calm.cli.sweep;

import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * One training of a sweep.
 *
 * @param number from 1
 * @param values of the parameters, by key, in the sweep's order
 */
public record Trial(int number, Map<String, String> values) {

	/**
	 * Its name: of its directory, its results and its run.
	 * @return the same in every call
	 */
	public String name() {
		return String.format(Locale.ROOT, "trial-%03d", this.number);
	}

	/**
	 * What distinguishes it.
	 * @return for people
	 */
	public String description() {
		return this.values.entrySet()
			.stream()
			.map((value) -> value.getKey() + " " + value.getValue())
			.collect(Collectors.joining(", "));
	}

}

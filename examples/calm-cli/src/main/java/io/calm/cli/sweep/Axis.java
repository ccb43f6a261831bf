package io.calm.cli.sweep;

import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;

import io.calm.cli.ablate.Table;

/**
 * Where values stand on an axis, from 0 at its foot to 1.
 *
 * @param title below it
 * @param places of values, by value
 * @param ticks values to be written beside it, with their places
 */
record Axis(String title, Map<String, Double> places, Map<String, Double> ticks) {

	/** So many values are all written. */
	private static final int FEW = 8;

	/** What spans this much or more is drawn by its logarithm. */
	private static final double WIDE = 20;

	/**
	 * An axis of values, in the order of their numbers if that is what they are.
	 * @param title below it
	 * @param values on it, each once
	 */
	static Axis of(String title, List<String> values) {
		return values.stream().allMatch(Axis::isNumber) ? ofNumbers(title, values, WIDE) : ofNames(title, values);
	}

	/**
	 * An axis of scores, however far they spread.
	 * @param title below it
	 * @param scores on it, each once
	 */
	static Axis ofScores(String title, List<String> scores) {
		return ofNumbers(title, scores, Double.POSITIVE_INFINITY);
	}

	private static boolean isNumber(String value) {
		return value.matches("-?\\d+(\\.\\d+)?([eE][-+]?\\d+)?");
	}

	private static Axis ofNames(String title, List<String> values) {
		Map<String, Double> places = new TreeMap<>();
		IntStream.range(0, values.size())
			.forEach((i) -> places.put(values.get(i), (values.size() > 1) ? i / (values.size() - 1.0) : 0.5));
		return new Axis(title, places, places);
	}

	private static Axis ofNumbers(String title, List<String> values, double wide) {
		double[] numbers = values.stream().mapToDouble(Double::parseDouble).sorted().toArray();
		double least = numbers[0];
		double greatest = numbers[numbers.length - 1];
		boolean logarithmic = least > 0 && greatest / least >= wide;
		Map<String, Double> places = new TreeMap<>();
		values.forEach((value) -> places.put(value, place(Double.parseDouble(value), least, greatest, logarithmic)));
		if (values.size() <= FEW) {
			return new Axis(title, places, places);
		}
		Map<String, Double> ticks = new TreeMap<>();
		for (double share : new double[] { 0, 0.25, 0.5, 0.75, 1 }) {
			double tick = logarithmic ? least * Math.pow(greatest / least, share) : least + share * (greatest - least);
			ticks.put(Table.number(tick), share);
		}
		return new Axis(title, places, ticks);
	}

	private static double place(double number, double least, double greatest, boolean logarithmic) {
		if (greatest == least) {
			return 0.5;
		}
		return logarithmic ? Math.log(number / least) / Math.log(greatest / least)
				: (number - least) / (greatest - least);
	}

	double place(String value) {
		return this.places.getOrDefault(value, 0.5);
	}

}

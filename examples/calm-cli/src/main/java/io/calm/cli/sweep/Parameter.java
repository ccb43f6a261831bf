package io.calm.cli.sweep;

import java.util.List;
import java.util.Locale;
import java.util.Random;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * An option that a sweep varies.
 *
 * @param key of the option
 * @param values to choose from; none for a range
 * @param range to draw from; null for values
 */
public record Parameter(String key, List<String> values, @Nullable Range range) {

	/**
	 * Numbers between two others.
	 *
	 * @param least the least
	 * @param greatest the greatest
	 * @param logarithmic whether each power of ten is as likely as another
	 * @param whole whether they are whole
	 */
	public record Range(double least, double greatest, boolean logarithmic, boolean whole) {

		/** Refuses a range without numbers. */
		public Range {
			if (!(least < greatest && Double.isFinite(least) && Double.isFinite(greatest))) {
				throw new InvalidInputException("min " + text(least, whole),
						"is not below max " + text(greatest, whole), "choose numbers that differ");
			}
			if (logarithmic && !(least > 0)) {
				throw new InvalidInputException("min " + text(least, whole), "has no logarithm",
						"choose a positive number, or leave log out");
			}
		}

		String draw(Random random) {
			// both ends of whole numbers are as likely as what is between them
			double from = this.whole ? this.least - 0.5 : this.least;
			double to = this.whole ? this.greatest + 0.5 : this.greatest;
			double share = random.nextDouble();
			double drawn = this.logarithmic ? Math.exp(Math.log(from) + share * (Math.log(to) - Math.log(from)))
					: from + share * (to - from);
			double rounded = this.whole ? Math.rint(drawn) : Double.parseDouble(text(drawn, false));
			return text(Math.min(this.greatest, Math.max(this.least, rounded)), this.whole);
		}

		/** Three digits are enough to tell trials apart. */
		private static String text(double number, boolean whole) {
			return whole ? Long.toString((long) number)
					: Double.toString(Double.parseDouble(String.format(Locale.ROOT, "%.3g", number)));
		}

	}

	/** Refuses what leaves nothing to vary. */
	public Parameter {
		values = List.copyOf(values);
		if (range == null && values.isEmpty()) {
			throw new InvalidInputException("parameter " + key, "has no values", "list some");
		}
		if (values.stream().distinct().count() < values.size()) {
			throw new InvalidInputException("parameter " + key, "has a value twice", "leave one of them out");
		}
	}

	/**
	 * What is tried.
	 * @return values or a range, for people
	 */
	public String space() {
		if (this.range == null) {
			return String.join(", ", this.values);
		}
		return Range.text(this.range.least, this.range.whole) + " to "
				+ Range.text(this.range.greatest, this.range.whole) + (this.range.logarithmic ? ", logarithmic" : "");
	}

	String draw(Random random) {
		return (this.range != null) ? this.range.draw(random) : this.values.get(random.nextInt(this.values.size()));
	}

}

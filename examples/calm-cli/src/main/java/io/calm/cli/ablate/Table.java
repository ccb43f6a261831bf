package io.calm.cli.ablate;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * A table of results, as CSV or Markdown.
 *
 * @param <T> what stands in a row
 */
public final class Table<T> {

	private final Map<String, Function<T, String>> columns = new LinkedHashMap<>();

	/**
	 * Adds a column on the right.
	 * @param title above it
	 * @param cell of a row
	 * @return this
	 */
	public Table<T> column(String title, Function<T, String> cell) {
		this.columns.put(title, cell);
		return this;
	}

	/**
	 * Rows below their titles, for people.
	 * @param rows from top to bottom
	 * @return Markdown
	 */
	public String markdown(List<T> rows) {
		StringBuilder text = new StringBuilder();
		text.append("| ").append(String.join(" | ", this.columns.keySet())).append(" |\n|");
		text.append("---|".repeat(this.columns.size())).append('\n');
		for (T row : rows) {
			text.append(this.columns.values()
				.stream()
				.map((cell) -> cell.apply(row).replace("|", "\\|"))
				.collect(Collectors.joining(" | ", "| ", " |\n")));
		}
		return text.toString();
	}

	/**
	 * Rows below their titles, for programs.
	 * @param rows from top to bottom
	 * @return CSV; what holds commas or quotes is quoted
	 */
	public String csv(List<T> rows) {
		List<String> lines = new ArrayList<>();
		lines.add(line(List.copyOf(this.columns.keySet())));
		rows.forEach((row) -> lines.add(line(this.columns.values().stream().map((cell) -> cell.apply(row)).toList())));
		return String.join("\n", lines) + "\n";
	}

	private static String line(List<String> cells) {
		return cells.stream()
			.map((cell) -> cell.matches("(?s).*[,\"\n\r].*") ? '"' + cell.replace("\"", "\"\"") + '"' : cell)
			.collect(Collectors.joining(","));
	}

	/**
	 * A number for people.
	 * @param value any
	 * @return four digits or less; nothing for NaN
	 */
	public static String number(double value) {
		if (Double.isNaN(value)) {
			return "";
		}
		if (value == Math.rint(value) && Math.abs(value) < 1e6) {
			return Long.toString(Math.round(value));
		}
		return String.format(Locale.ROOT, (Math.abs(value) >= 1e6) ? "%.3g" : "%.4g", value);
	}

	/**
	 * A number for programs.
	 * @param value any
	 * @return all its digits; nothing for NaN
	 */
	public static String exact(double value) {
		return Double.isNaN(value) ? "" : String.valueOf(value);
	}

}

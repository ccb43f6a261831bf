package io.calm.cli;

import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonNull;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;

/**
 * The results of a command, in the order in which they were put: for people as aligned
 * lines, for programs as one JSON object on one line. JSON knows no NaN and no infinity;
 * they become null.
 */
final class Report {

	private static final Gson GSON = new GsonBuilder().serializeNulls().disableHtmlEscaping().create();

	/** Numbers, booleans, strings, double[] and, as sections, reports. */
	private final Map<String, Object> entries = new LinkedHashMap<>();

	/** The settings of a model. */
	static Report of(Map<String, Object> settings) {
		Report report = new Report();
		settings.forEach((key, value) -> {
			if (value instanceof Number number) {
				report.put(key, number);
			}
			else {
				report.put(key, String.valueOf(value));
			}
		});
		return report;
	}

	Report put(String key, Number value) {
		this.entries.put(key, value);
		return this;
	}

	Report put(String key, boolean value) {
		this.entries.put(key, value);
		return this;
	}

	Report put(String key, String value) {
		this.entries.put(key, value);
		return this;
	}

	Report put(String key, double[] values) {
		this.entries.put(key, values.clone());
		return this;
	}

	Report put(String key, Report section) {
		this.entries.put(key, section);
		return this;
	}

	boolean isEmpty() {
		return this.entries.isEmpty();
	}

	void print(PrintWriter out, boolean json) {
		if (json) {
			out.println(GSON.toJson(toJson(this)));
		}
		else {
			printLines(out, "", labelWidth(0));
		}
		out.flush();
	}

	private static JsonElement toJson(Object value) {
		if (value instanceof Report report) {
			JsonObject object = new JsonObject();
			report.entries.forEach((key, entry) -> object.add(key, toJson(entry)));
			return object;
		}
		if (value instanceof double[] values) {
			JsonArray array = new JsonArray();
			DoubleStream.of(values).forEach((each) -> array.add(toJson(each)));
			return array;
		}
		if (value instanceof Number number) {
			return Double.isFinite(number.doubleValue()) ? new JsonPrimitive(number) : JsonNull.INSTANCE;
		}
		return (value instanceof Boolean flag) ? new JsonPrimitive(flag) : new JsonPrimitive(value.toString());
	}

	/** Values stand in one column, whatever section they belong to. */
	private int labelWidth(int indent) {
		return this.entries.entrySet()
			.stream()
			.mapToInt((entry) -> (entry.getValue() instanceof Report section) ? section.labelWidth(indent + 2)
					: indent + entry.getKey().length())
			.max()
			.orElse(0);
	}

	private void printLines(PrintWriter out, String indent, int width) {
		this.entries.forEach((key, value) -> {
			String label = indent + key.replace('_', ' ');
			if (value instanceof Report section) {
				out.println(label);
				section.printLines(out, indent + "  ", width);
			}
			else {
				String padded = label + " ".repeat(width - label.length() + 2);
				out.println(padded + text(value).replace("\n", "\n" + " ".repeat(padded.length())));
			}
		});
	}

	private static String text(Object value) {
		if (value instanceof double[] values) {
			return DoubleStream.of(values).mapToObj(Report::text).collect(Collectors.joining("  "));
		}
		if (value instanceof Double || value instanceof Float) {
			double number = ((Number) value).doubleValue();
			return String.format(Locale.ROOT, (Math.abs(number) >= 1000) ? "%.0f" : "%.4g", number);
		}
		return value.toString();
	}

}

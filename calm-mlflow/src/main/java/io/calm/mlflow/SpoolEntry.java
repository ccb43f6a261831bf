package io.calm.mlflow;

import java.io.IOException;
import java.util.Map;
import java.util.Objects;
import java.util.Set;

import com.google.gson.Gson;
import com.google.gson.GsonBuilder;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.TypeAdapter;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonWriter;
import org.jspecify.annotations.Nullable;

/**
 * A line of the spool, as the package's description has it.
 */
sealed interface SpoolEntry {

	/** What is written today; what is newer is refused. */
	int VERSION = 1;

	/** The run of the training or study itself, the parent of the others. */
	String PARENT = "";

	/** Behind the name of a training in a study, before that of its phases. */
	String BELOW = "/";

	Gson GSON = new GsonBuilder().disableHtmlEscaping().registerTypeAdapter(Double.class, new AnyNumber()).create();

	Map<String, Class<? extends SpoolEntry>> TYPES = Map.of("training", Training.class, "start", Start.class, "metrics",
			Metrics.class, "text", Text.class, "artifact", Artifact.class, "end", End.class);

	/** How a run ends. */
	Set<String> STATUSES = Set.of("FINISHED", "FAILED", "KILLED");

	/** Milliseconds since 1970. */
	long time();

	default String toLine() {
		JsonObject line = new JsonObject();
		TYPES.forEach((name, type) -> {
			if (type == getClass()) {
				line.addProperty("type", name);
			}
		});
		GSON.toJsonTree(this).getAsJsonObject().asMap().forEach(line::add);
		return line.toString();
	}

	/** The run in which another is nested; that of all others is nested in none. */
	static String parentOf(String run) {
		return run.substring(0, run.substring(0, Math.max(0, run.length() - 1)).lastIndexOf(BELOW) + 1);
	}

	/** Its name among those that are nested with it. */
	static String lastName(String run) {
		String name = run.substring(parentOf(run).length());
		return name.endsWith(BELOW) ? name.substring(0, name.length() - 1) : name;
	}

	private static void requireValues(Map<String, ?> map) {
		map.values().forEach(Objects::requireNonNull);
	}

	/** Null for a line that is none. */
	static @Nullable SpoolEntry parse(String line) {
		try {
			JsonObject json = JsonParser.parseString(line).getAsJsonObject();
			Class<? extends SpoolEntry> type = TYPES.get(json.get("type").getAsString());
			return (type != null) ? GSON.fromJson(json, type) : null;
		}
		catch (JsonParseException | IllegalStateException | NullPointerException | UnsupportedOperationException ex) {
			return null;
		}
		catch (RuntimeException ex) {
			// Gson wraps what the constructor of a record throws
			return null;
		}
	}

	/**
	 * A training begins.
	 *
	 * @param key names it, for ever
	 * @param experiment by name
	 * @param experimentId by id, instead
	 * @param name of its run; the server invents one without
	 * @param runId of a run that there is already
	 */
	record Training(int version, String key, long time, String experiment, @Nullable String experimentId,
			@Nullable String name, @Nullable String runId, Map<String, String> tags) implements SpoolEntry {

		public Training {
			Objects.requireNonNull(key);
			Objects.requireNonNull(experiment);
			requireValues(tags);
		}

	}

	/** A phase begins, or goes on. */
	record Start(String run, long time, String directory, Map<String, String> params, String dataset,
			String digest) implements SpoolEntry {

		public Start {
			Objects.requireNonNull(run);
			Objects.requireNonNull(directory);
			requireValues(params);
			Objects.requireNonNull(dataset);
			Objects.requireNonNull(digest);
		}

	}

	/** Values of a step. */
	record Metrics(String run, long time, long step, Map<String, Double> values) implements SpoolEntry {

		public Metrics {
			Objects.requireNonNull(run);
			requireValues(values);
		}

	}

	/**
	 * A text is to be sent as a file.
	 *
	 * @param path below the run's artifacts
	 */
	record Text(String run, long time, String path, String text) implements SpoolEntry {

		public Text {
			Objects.requireNonNull(run);
			Objects.requireNonNull(path);
			Objects.requireNonNull(text);
		}

	}

	/**
	 * A file or directory is to be sent.
	 *
	 * @param file below the spool's directory of files
	 * @param path below the run's artifacts
	 */
	record Artifact(String run, long time, String file, String path) implements SpoolEntry {

		public Artifact {
			Objects.requireNonNull(run);
			Objects.requireNonNull(file);
			Objects.requireNonNull(path);
		}

	}

	/**
	 * A run is over.
	 *
	 * @param status FINISHED, FAILED or KILLED
	 */
	record End(String run, long time, String status, Map<String, String> tags) implements SpoolEntry {

		public End {
			Objects.requireNonNull(run);
			if (!STATUSES.contains(status)) {
				throw new IllegalArgumentException(status);
			}
			requireValues(tags);
		}

	}

	/** Numbers, and strings where JSON has no number. */
	final class AnyNumber extends TypeAdapter<Double> {

		@Override
		public void write(JsonWriter out, @Nullable Double value) throws IOException {
			double number = Objects.requireNonNull(value);
			if (Double.isFinite(number)) {
				out.value(number);
			}
			else {
				out.value(Double.toString(number));
			}
		}

		@Override
		public Double read(JsonReader in) throws IOException {
			return Double.valueOf(in.nextString());
		}

	}

}

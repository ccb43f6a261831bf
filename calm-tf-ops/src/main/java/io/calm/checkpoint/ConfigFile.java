package io.calm.checkpoint;

import java.io.IOException;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.JsonPrimitive;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * The settings in a {@code config.json}: a JSON object of numbers, texts and truth
 * values. A setting that is {@code null} counts as missing. Every error names the file
 * and the setting.
 */
public final class ConfigFile {

	private static final int LARGEST = 1 << 20;

	private static final Pattern PLACE = Pattern.compile("line \\d+ column \\d+");

	private final Path file;

	private final JsonObject settings;

	private ConfigFile(Path file, JsonObject settings) {
		this.file = file;
		this.settings = settings;
	}

	/**
	 * Reads a JSON file of settings.
	 * @param file the path of a {@code config.json}
	 * @return its settings
	 * @throws InvalidInputException if there is no such file, it is larger than 1 MiB, or
	 * it is no JSON object
	 */
	public static ConfigFile read(Path file) {
		return new ConfigFile(file, readJson(file, LARGEST));
	}

	static JsonObject readJson(Path path, int limit) {
		try (OpenFile file = OpenFile.open(path)) {
			if (file.size() > limit) {
				throw file.invalid("has " + file.size() + " bytes, which is no configuration", "check the path");
			}
			String text = StandardCharsets.UTF_8.newDecoder().decode(file.bytes(0, (int) file.size())).toString();
			JsonReader reader = new JsonReader(new StringReader(text));
			reader.setStrictness(Strictness.STRICT);
			JsonElement json = JsonParser.parseReader(reader);
			if (!json.isJsonObject() || reader.peek() != JsonToken.END_DOCUMENT) {
				throw file.invalid("is not one JSON object", "check what was downloaded or copied");
			}
			return json.getAsJsonObject();
		}
		catch (IOException | JsonParseException ex) {
			Matcher place = PLACE.matcher(String.valueOf(ex.getMessage()));
			throw new InvalidInputException(path.toString(),
					"is no JSON" + (place.find() ? " at " + place.group() : ""),
					"correct it, or check what was downloaded or copied", ex);
		}
	}

	/**
	 * Writes a file, with the settings in the order of the map. A file that exists is
	 * overwritten.
	 * @param file where to write
	 * @param settings numbers, texts, truth values, and lists and maps of these
	 * @throws InvalidInputException if the file cannot be written, with its path
	 */
	public static void write(Path file, Map<String, Object> settings) {
		String json = new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create().toJson(settings);
		try {
			Files.writeString(file, json + "\n");
		}
		catch (IOException ex) {
			throw OpenFile.unwritable(file, ex);
		}
	}

	/**
	 * Whether there is a setting of this name.
	 * @param key its name
	 * @return whether it is there and not {@code null}
	 */
	public boolean has(String key) {
		return find(key) != null;
	}

	/**
	 * Reads a whole number that an {@code int} holds.
	 * @param key its name
	 * @return its value
	 * @throws InvalidInputException if it is missing or no whole number of 32 bits
	 */
	public int integer(String key) {
		return integer(key, Integer.MIN_VALUE, Integer.MAX_VALUE);
	}

	/**
	 * A whole number that may be missing.
	 * @param key its name
	 * @param fallback the value if it is missing
	 * @return its value
	 * @throws InvalidInputException if it is no whole number of 32 bits
	 */
	public int integer(String key, int fallback) {
		return has(key) ? integer(key) : fallback;
	}

	/**
	 * A whole number within bounds.
	 * @param key its name
	 * @param min the least value that makes sense
	 * @param max the greatest value that makes sense
	 * @return its value
	 * @throws InvalidInputException if it is missing, no whole number, or out of bounds
	 */
	public int integer(String key, int min, int max) {
		BigDecimal value = decimal(key);
		if (value.compareTo(BigDecimal.valueOf(min)) < 0 || value.compareTo(BigDecimal.valueOf(max)) > 0) {
			throw wrong(key, "is out of range", "give a whole number from " + min + " to " + max);
		}
		if (value.stripTrailingZeros().scale() > 0) {
			throw wrong(key, "is no whole number", "give one from " + min + " to " + max);
		}
		return value.intValueExact();
	}

	/**
	 * A whole number within bounds that may be missing.
	 * @param key its name
	 * @param fallback the value if it is missing
	 * @param min the least value that makes sense
	 * @param max the greatest value that makes sense
	 * @return its value
	 * @throws InvalidInputException if it is no whole number or out of bounds
	 */
	public int integer(String key, int fallback, int min, int max) {
		return has(key) ? integer(key, min, max) : fallback;
	}

	/**
	 * A whole number within bounds, or a list of them.
	 * @param key its name
	 * @param min the least value that makes sense
	 * @param max the greatest value that makes sense
	 * @return the values, at least one
	 * @throws InvalidInputException if it is missing or empty, or one is no whole number
	 * or out of bounds
	 */
	public int[] integers(String key, int min, int max) {
		if (!(find(key) instanceof JsonArray values)) {
			return new int[] { integer(key, min, max) };
		}
		if (values.isEmpty()) {
			throw wrong(key, "is empty", "give at least one number");
		}
		return IntStream.range(0, values.size()).map((i) -> {
			JsonObject one = new JsonObject();
			one.add(key, values.get(i));
			return new ConfigFile(this.file, one).integer(key, min, max);
		}).toArray();
	}

	/**
	 * A whole number of 64 bits, such as a seed, every digit of which counts.
	 * @param key its name
	 * @return its value
	 * @throws InvalidInputException if it is missing or no whole number of 64 bits
	 */
	public long longInteger(String key) {
		BigDecimal value = decimal(key);
		if (value.compareTo(BigDecimal.valueOf(Long.MIN_VALUE)) < 0
				|| value.compareTo(BigDecimal.valueOf(Long.MAX_VALUE)) > 0) {
			throw wrong(key, "is out of range", "give a whole number of 64 bits");
		}
		if (value.stripTrailingZeros().scale() > 0) {
			throw wrong(key, "is no whole number", "give one of 64 bits");
		}
		return value.longValueExact();
	}

	/**
	 * Reads a number.
	 * @param key its name
	 * @return its value, finite
	 * @throws InvalidInputException if it is missing or no number that a {@code double}
	 * holds
	 */
	public double number(String key) {
		double value = decimal(key).doubleValue();
		if (!Double.isFinite(value)) {
			throw wrong(key, "is out of range", "give a smaller one");
		}
		return value;
	}

	/**
	 * A number that may be missing.
	 * @param key its name
	 * @param fallback the value if it is missing
	 * @return its value, finite
	 * @throws InvalidInputException if it is no number that a {@code double} holds
	 */
	public double number(String key, double fallback) {
		return has(key) ? number(key) : fallback;
	}

	/**
	 * Reads a text.
	 * @param key its name
	 * @return its value
	 * @throws InvalidInputException if it is missing or no text
	 */
	public String text(String key) {
		JsonPrimitive value = primitive(key);
		if (!value.isString()) {
			throw wrong(key, "is no text", "put it in quotes");
		}
		return value.getAsString();
	}

	/**
	 * A text that may be missing.
	 * @param key its name
	 * @param fallback the value if it is missing
	 * @return its value
	 * @throws InvalidInputException if it is no text
	 */
	public String text(String key, String fallback) {
		return has(key) ? text(key) : fallback;
	}

	/**
	 * A single value of any kind.
	 * @param key its name
	 * @return its value as it is written, without quotes
	 * @throws InvalidInputException if it is missing, a list or an object
	 */
	public String plain(String key) {
		return primitive(key).getAsString();
	}

	/**
	 * A truth value that may be missing.
	 * @param key its name
	 * @param fallback the value if it is missing
	 * @return its value
	 * @throws InvalidInputException if it is neither {@code true} nor {@code false}
	 */
	public boolean flag(String key, boolean fallback) {
		if (!has(key)) {
			return fallback;
		}
		JsonPrimitive value = primitive(key);
		if (!value.isBoolean()) {
			throw wrong(key, "is no truth value", "give true or false");
		}
		return value.getAsBoolean();
	}

	/**
	 * Settings that stand together in an object of their own.
	 * @param key the object's name
	 * @return its settings
	 * @throws InvalidInputException if it is missing or no object
	 */
	public ConfigFile section(String key) {
		JsonElement value = find(key);
		if (value == null || !value.isJsonObject()) {
			throw wrong(key, "is no object of settings", "write { } around them");
		}
		return new ConfigFile(this.file, value.getAsJsonObject());
	}

	private BigDecimal decimal(String key) {
		JsonPrimitive value = primitive(key);
		if (!value.isNumber()) {
			throw wrong(key, "is no number", "give one, without quotes");
		}
		try {
			return value.getAsBigDecimal();
		}
		catch (NumberFormatException ex) {
			// as 1e99999, which would take ages to write out
			throw wrong(key, "is out of range", "give a usual number");
		}
	}

	private JsonPrimitive primitive(String key) {
		JsonElement value = find(key);
		if (value == null) {
			throw OpenFile.invalid(this.file, "has no '" + key + "'", "add it; is it the config.json of such a model?");
		}
		if (!value.isJsonPrimitive()) {
			throw OpenFile.invalid(this.file, "'" + key + "' is a list or an object", "give a single value");
		}
		return value.getAsJsonPrimitive();
	}

	private @Nullable JsonElement find(String key) {
		JsonElement value = this.settings.get(key);
		return (value == null || value.isJsonNull()) ? null : value;
	}

	private InvalidInputException wrong(String key, String problem, String action) {
		String value = String.valueOf(this.settings.get(key));
		return OpenFile.invalid(this.file, "'" + key + "' = " + OpenFile.shown(value) + " " + problem, action);
	}

}

package io.calm.cluster;

import java.io.IOException;
import java.io.StringReader;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParseException;
import com.google.gson.JsonParser;
import com.google.gson.Strictness;
import com.google.gson.stream.JsonReader;
import com.google.gson.stream.JsonToken;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * The workers of a training, and which of them this process is.
 *
 * @param addresses of all workers, {@code host:port}; the first one writes checkpoints,
 * evaluates and speaks to listeners
 * @param index of this process among them, from 0
 */
public record Workers(List<String> addresses, int index) {

	/** The environment variable that says who the workers are. */
	public static final String VARIABLE = "TF_CONFIG";

	private static final String CHIEF = "chief";

	private static final String WORKER = "worker";

	private static final Pattern ADDRESS = Pattern
		.compile("(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\\[[0-9A-Fa-f:.]+]):([0-9]{1,5})");

	private static final int LARGEST_PORT = 65_535;

	private static final String EXAMPLE = "{\"cluster\": {\"worker\": [\"host1:2222\", \"host2:2222\"]},"
			+ " \"task\": {\"type\": \"worker\", \"index\": 0}}";

	/**
	 * Checks the addresses and the index.
	 * @throws InvalidInputException if there is no address, one is malformed or there
	 * twice, or the index is none of theirs
	 */
	public Workers {
		addresses = List.copyOf(addresses);
		if (addresses.isEmpty()) {
			throw invalid("has no workers", "list them, as in " + EXAMPLE);
		}
		for (String address : addresses) {
			Matcher matcher = ADDRESS.matcher(address);
			if (!matcher.matches() || Integer.parseInt(matcher.group(1)) < 1
					|| Integer.parseInt(matcher.group(1)) > LARGEST_PORT) {
				throw invalid("has the address \"" + address + "\"", "write host:port, as in " + EXAMPLE);
			}
		}
		if (new HashSet<>(addresses).size() < addresses.size()) {
			throw invalid("lists a worker twice (" + String.join(", ", addresses) + ")",
					"give each worker an address of its own");
		}
		if (index < 0 || index >= addresses.size()) {
			throw invalid("names the worker " + index + " of " + addresses.size(),
					"choose an index from 0 to " + (addresses.size() - 1));
		}
	}

	/**
	 * The workers that the environment variable {@code TF_CONFIG} names.
	 * @return the workers; none if it is not set or empty
	 * @throws InvalidInputException if it does not say who the workers are
	 */
	public static Optional<Workers> ofEnvironment() {
		String value = System.getenv(VARIABLE);
		return (value == null || value.isBlank()) ? Optional.empty() : Optional.of(parse(value));
	}

	/**
	 * Reads a value of {@code TF_CONFIG}. If the cluster has a {@code chief}, it is the
	 * first worker.
	 * @param json such as {@code {"cluster": {"worker": ["host1:2222", "host2:2222"]},
	 * "task": {"type": "worker", "index": 0}}}
	 * @return the workers
	 * @throws InvalidInputException if it does not say who the workers are
	 */
	public static Workers parse(String json) {
		JsonObject config = read(json);
		JsonObject cluster = object(config, "cluster");
		JsonObject task = object(config, "task");
		for (String job : cluster.keySet()) {
			if (!job.equals(CHIEF) && !job.equals(WORKER)) {
				throw invalid("has tasks of the type \"" + job + "\"",
						"leave them out: a training has a chief and workers, or workers only");
			}
		}
		List<String> chiefs = addresses(cluster, CHIEF);
		if (chiefs.size() > 1) {
			throw invalid("has " + chiefs.size() + " chiefs", "leave one");
		}
		List<String> all = new ArrayList<>(chiefs);
		all.addAll(addresses(cluster, WORKER));
		return new Workers(all, index(task, chiefs.size(), all.size()));
	}

	private static JsonObject read(String json) {
		try {
			JsonReader reader = new JsonReader(new StringReader(json));
			reader.setStrictness(Strictness.STRICT);
			JsonElement value = JsonParser.parseReader(reader);
			if (value.isJsonObject() && reader.peek() == JsonToken.END_DOCUMENT) {
				return value.getAsJsonObject();
			}
		}
		catch (IOException | JsonParseException | StackOverflowError ex) {
			throw new InvalidInputException(VARIABLE, "is no JSON", "write it as in " + EXAMPLE, ex);
		}
		throw invalid("is not one JSON object", "write it as in " + EXAMPLE);
	}

	private static JsonObject object(JsonObject config, String key) {
		JsonElement value = config.get(key);
		if (value == null || !value.isJsonObject()) {
			throw invalid((value == null) ? "has no \"" + key + "\"" : "has a \"" + key + "\" that is no JSON object",
					"write it as in " + EXAMPLE);
		}
		return value.getAsJsonObject();
	}

	private static List<String> addresses(JsonObject cluster, String job) {
		JsonElement value = cluster.get(job);
		if (value == null) {
			return List.of();
		}
		if (!value.isJsonArray() || value.getAsJsonArray().asList().stream().anyMatch((each) -> text(each) == null)) {
			throw invalid("has a \"" + job + "\" that is no list of addresses", "write it as in " + EXAMPLE);
		}
		return value.getAsJsonArray().asList().stream().map(JsonElement::getAsString).toList();
	}

	private static int index(JsonObject task, int chiefs, int all) {
		String type = text(task.get("type"));
		if (!CHIEF.equals(type) && !WORKER.equals(type)) {
			throw invalid((type != null) ? "has a task of the type \"" + type + "\"" : "has a task without a type",
					"choose " + CHIEF + " or " + WORKER);
		}
		JsonElement value = task.get("index");
		String number = (value != null && value.isJsonPrimitive()) ? value.getAsString() : "";
		if (!number.matches("[0-9]{1,6}")) {
			throw invalid("has a task whose index is " + ((value != null) ? value : "missing"),
					"give the place of this worker in the list, from 0");
		}
		boolean chief = CHIEF.equals(type);
		int index = Integer.parseInt(number);
		int count = chief ? chiefs : all - chiefs;
		if (index >= count) {
			throw invalid("has the task " + type + " " + index + ", but " + count + " of this type in the cluster",
					"choose an index from 0 on that the cluster has");
		}
		return chief ? index : chiefs + index;
	}

	private static @Nullable String text(@Nullable JsonElement value) {
		return (value != null && value.isJsonPrimitive() && value.getAsJsonPrimitive().isString()) ? value.getAsString()
				: null;
	}

	private static InvalidInputException invalid(String problem, String action) {
		return new InvalidInputException(VARIABLE, problem, action);
	}

	/**
	 * The value of {@code TF_CONFIG} that says the same.
	 * @return JSON
	 */
	public String json() {
		return "{\"cluster\": {\"worker\": [\"" + String.join("\", \"", this.addresses)
				+ "\"]}, \"task\": {\"type\": \"worker\", \"index\": " + this.index + "}}";
	}

	/**
	 * How many there are.
	 * @return at least 1
	 */
	public int count() {
		return this.addresses.size();
	}

	/**
	 * Whether this process is the one that writes.
	 * @return true for the first worker
	 */
	public boolean isFirst() {
		return this.index == 0;
	}

}

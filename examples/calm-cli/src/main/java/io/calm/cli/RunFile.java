package io.calm.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

import io.calm.input.InputFile;
import io.calm.input.InvalidInputException;
import org.apache.commons.text.similarity.LevenshteinDistance;
import org.snakeyaml.engine.v2.api.Dump;
import org.snakeyaml.engine.v2.api.DumpSettings;
import org.snakeyaml.engine.v2.api.Load;
import org.snakeyaml.engine.v2.api.LoadSettings;
import org.snakeyaml.engine.v2.common.FlowStyle;
import org.snakeyaml.engine.v2.exceptions.MarkedYamlEngineException;
import org.snakeyaml.engine.v2.exceptions.YamlEngineException;
import org.snakeyaml.engine.v2.nodes.Tag;
import org.snakeyaml.engine.v2.schema.FailsafeSchema;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

/**
 * The options of a command in a YAML file: each key is the long name of an option without
 * its dashes. The options themselves say which keys there are, so nothing here has to
 * know them.
 */
final class RunFile {

	private static final int MOST_BYTES = 1 << 20;

	/** Of the command line, not of a run. */
	private static final Set<String> NOT_OF_A_RUN = Set.of("help", "version", "json", "quiet", "stacktrace", "dry-run");

	private RunFile() {
	}

	/**
	 * The options that a file may hold, by key, in the order of the command's help.
	 */
	static Map<String, OptionSpec> keys(CommandSpec command) {
		Map<String, OptionSpec> keys = new LinkedHashMap<>();
		for (OptionSpec option : command.options()) {
			String key = option.longestName().substring(2);
			if (!NOT_OF_A_RUN.contains(key)) {
				keys.put(key, option);
			}
		}
		return keys;
	}

	/**
	 * A file as arguments of the command line.
	 * @param file of YAML
	 * @param command whose options it holds
	 * @return {@code --key=value}, by key, once for each value
	 * @throws InvalidInputException if the file is not one of options
	 */
	static Map<String, List<String>> arguments(Path file, CommandSpec command) {
		return arguments(file.toString(), read(file), command);
	}

	/**
	 * The same of what stands in a file.
	 * @param where it stands
	 * @param content as {@link #read} gives it
	 * @param command whose options it holds
	 */
	static Map<String, List<String>> arguments(String where, Map<?, ?> content, CommandSpec command) {
		Map<String, OptionSpec> keys = keys(command);
		Map<String, List<String>> arguments = new LinkedHashMap<>();
		content.forEach((name, value) -> {
			String key = String.valueOf(name);
			arguments.put(key, arguments(where, key, option(where, key, keys, command), value));
		});
		return arguments;
	}

	/** The option of a key, which must be one. */
	static OptionSpec option(String where, String key, Map<String, OptionSpec> keys, CommandSpec command) {
		OptionSpec option = keys.get(key);
		if (option == null) {
			throw unknown(where, key, "option", keys.keySet(), "see '" + command.qualifiedName() + " --help'");
		}
		return option;
	}

	/** What is said of a key that does not exist. */
	static InvalidInputException unknown(String where, String key, String what, Collection<String> keys, String help) {
		return new InvalidInputException(where, "has the key \"" + key + "\", which is no " + what,
				nearest(key, keys).map((nearest) -> "write \"" + nearest + "\", or " + help)
					.orElse(help + " for all of them"));
	}

	/** The key that differs in the fewest letters, if not in half of them. */
	private static Optional<String> nearest(String key, Collection<String> keys) {
		return keys.stream()
			.min(Comparator.comparingInt((each) -> distance(key, each)))
			.filter((each) -> 2 * distance(key, each) < Math.max(2, key.length()));
	}

	/** How many letters have to be changed, added or left out. */
	private static int distance(String one, String other) {
		return LevenshteinDistance.getDefaultInstance().apply(one, other);
	}

	/** A value, or several, of a key as arguments. */
	static List<String> arguments(String where, String key, OptionSpec option, Object value) {
		List<String> arguments = new ArrayList<>();
		boolean list = value instanceof List;
		if (list && !option.isMultiValue()) {
			throw new InvalidInputException(where + ", " + key, "is a list", "give one value");
		}
		for (Object each : list ? (List<?>) value : List.of(value)) {
			if (!(each instanceof String text) || text.isEmpty()) {
				throw new InvalidInputException(where + ", " + key, "is not a value, or is empty", option.isMultiValue()
						? "give a value or a list of values" : "give a value, or leave the key out");
			}
			if (!isFlag(option)) {
				arguments.add("--" + key + "=" + text);
			}
			else if (text.equals("true")) {
				arguments.add("--" + key);
			}
			else if (!text.equals("false")) {
				throw new InvalidInputException(where + ", " + key, "is \"" + text + "\"", "choose true or false");
			}
		}
		return arguments;
	}

	static boolean isFlag(OptionSpec option) {
		return option.typeInfo().isBoolean();
	}

	/**
	 * What stands in a file: strings, and lists and maps of them.
	 * @throws InvalidInputException if it is not YAML, or no map
	 */
	static Map<?, ?> read(Path file) {
		LoadSettings settings = LoadSettings.builder()
			.setLabel(file.toString())
			// every value is a string, as on the command line
			.setSchema(new FailsafeSchema())
			.setTagConstructors(Map.of(Tag.NULL, (node) -> ""))
			.setAllowDuplicateKeys(false)
			.setMaxAliasesForCollections(0)
			.setCodePointLimit(MOST_BYTES)
			.build();
		try {
			Object content = new Load(settings)
				.loadFromString(InputFile.text(file, MOST_BYTES, "name the file of a run"));
			if (content instanceof Map<?, ?> map) {
				return map;
			}
		}
		catch (YamlEngineException ex) {
			String where = (ex instanceof MarkedYamlEngineException marked && marked.getProblemMark().isPresent())
					? ", line " + (marked.getProblemMark().get().getLine() + 1) : "";
			String problem = (ex instanceof MarkedYamlEngineException marked) ? marked.getProblem() : ex.getMessage();
			throw new InvalidInputException(file + where, "is not YAML (" + problem + ")", "correct it", ex);
		}
		throw new InvalidInputException(file.toString(), "is not a list of options",
				"write lines like \"steps: 1000\"");
	}

	/**
	 * A run as a file that gives the same run again.
	 * @param options with their values
	 * @return YAML
	 */
	static String write(Map<String, OptionSpec> options) {
		Map<String, Object> values = new LinkedHashMap<>();
		options.forEach((key, option) -> {
			Object value = option.getValue();
			if (value instanceof Collection<?> several) {
				if (!several.isEmpty()) {
					values.put(key, several.stream().map(RunFile::text).toList());
				}
			}
			else if (value != null && !(isFlag(option) && value.equals(false))) {
				values.put(key, isNumber(value) ? value : text(value));
			}
		});
		return new Dump(DumpSettings.builder().setDefaultFlowStyle(FlowStyle.BLOCK).build()).dumpToString(values);
	}

	private static boolean isNumber(Object value) {
		return value instanceof Number || value instanceof Boolean;
	}

	private static String text(Object value) {
		return (value instanceof Enum<?>) ? value.toString().toLowerCase(Locale.ROOT) : value.toString();
	}

}

package io.calm.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Stream;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * The JSON schemas of files that hold options, made of the options themselves.
 */
final class OptionSchema {

	private OptionSchema() {
	}

	/** A command whose options a file may hold. */
	static CommandSpec command(String name) {
		return Objects.requireNonNull(CalmCommand.commandLine().getSubcommands().get(name)).getCommandSpec();
	}

	/** Of a map that has no other keys. */
	static JsonObject of(JsonObject properties) {
		JsonObject schema = new JsonObject();
		schema.addProperty("type", "object");
		schema.addProperty("additionalProperties", false);
		schema.add("properties", properties);
		return schema;
	}

	/** Of the value of an option. */
	static JsonObject of(OptionSpec option) {
		JsonObject one = new JsonObject();
		Class<?> type = option.isMultiValue() ? option.auxiliaryTypes()[0] : option.type();
		one.addProperty("type", name(type));
		if (type.isEnum()) {
			JsonArray values = new JsonArray();
			Stream.of(type.getEnumConstants())
				.forEach((value) -> values.add(value.toString().toLowerCase(Locale.ROOT)));
			one.add("enum", values);
		}
		JsonObject property = one;
		if (option.isMultiValue()) {
			JsonObject several = new JsonObject();
			several.addProperty("type", "array");
			several.add("items", one);
			JsonArray either = new JsonArray();
			either.add(one);
			either.add(several);
			property = new JsonObject();
			property.add("oneOf", either);
		}
		String value = option.defaultValue();
		property.addProperty("description", description(option));
		if (value != null) {
			property.add("default", value(type, value));
		}
		return property;
	}

	/** As in the help. */
	static String description(OptionSpec option) {
		return String.join(" ", option.description())
			.replace("${DEFAULT-VALUE}", String.valueOf(option.defaultValue()));
	}

	/** What JSON calls the values of an option. */
	static String name(Class<?> type) {
		if (type == boolean.class || type == Boolean.class) {
			return "boolean";
		}
		if (type == int.class || type == Integer.class || type == long.class || type == Long.class) {
			return "integer";
		}
		return (type == double.class || type == Double.class) ? "number" : "string";
	}

	private static JsonElement value(Class<?> type, String value) {
		return switch (name(type)) {
			case "integer" -> new JsonPrimitive(Long.parseLong(value));
			case "number" -> new JsonPrimitive(Double.parseDouble(value));
			default -> new JsonPrimitive(value);
		};
	}

	/**
	 * Compares a schema with the file that editors read. With
	 * {@code -Dcalm.docs.write=true} it is written first.
	 */
	static void assertIsIn(Path file, String title, JsonObject schema) throws IOException {
		JsonObject document = new JsonObject();
		document.addProperty("$schema", "https://json-schema.org/draft/2020-12/schema");
		document.addProperty("title", title);
		schema.entrySet().forEach((entry) -> document.add(entry.getKey(), entry.getValue()));
		String content = new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create().toJson(document) + "\n";
		if (Boolean.getBoolean("calm.docs.write")) {
			Files.writeString(file, content);
		}
		assertThat(file).as("run this test with -Dcalm.docs.write=true to write the schema, and commit it")
			.hasContent(content);
	}

}

package io.calm.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Stream;

import com.google.gson.GsonBuilder;
import com.google.gson.JsonArray;
import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonPrimitive;
import org.junit.jupiter.api.Test;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * The schema of a run's file says what the command knows. With
 * {@code -Dcalm.docs.write=true} it writes the schema.
 */
class RunSchemaTests {

	private static final Path SCHEMA = Path.of("../../docs/run.schema.json");

	@Test
	void theSchemaIsThatOfTheCommand() throws IOException {
		String schema = new GsonBuilder().setPrettyPrinting().disableHtmlEscaping().create().toJson(schema()) + "\n";
		if (Boolean.getBoolean("calm.docs.write")) {
			Files.writeString(SCHEMA, schema);
		}
		assertThat(SCHEMA).as("run this test with -Dcalm.docs.write=true to write the schema, and commit it")
			.hasContent(schema);
	}

	private static JsonObject schema() {
		CommandSpec train = Objects.requireNonNull(CalmCommand.commandLine().getSubcommands().get("train"))
			.getCommandSpec();
		JsonObject properties = new JsonObject();
		for (Map.Entry<String, OptionSpec> key : RunFile.keys(train).entrySet()) {
			properties.add(key.getKey(), property(key.getValue()));
		}
		JsonObject schema = new JsonObject();
		schema.addProperty("$schema", "https://json-schema.org/draft/2020-12/schema");
		schema.addProperty("title", "A run of calm train");
		schema.addProperty("type", "object");
		schema.addProperty("additionalProperties", false);
		schema.add("properties", properties);
		return schema;
	}

	private static JsonObject property(OptionSpec option) {
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
		property.addProperty("description",
				String.join(" ", option.description()).replace("${DEFAULT-VALUE}", String.valueOf(value)));
		if (value != null) {
			property.add("default", value(type, value));
		}
		return property;
	}

	private static String name(Class<?> type) {
		if (type == boolean.class || type == Boolean.class) {
			return "boolean";
		}
		if (type == int.class || type == Integer.class || type == long.class) {
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

}

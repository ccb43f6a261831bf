package io.calm.streaming.service;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

import com.networknt.schema.Schema;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.SpecificationVersion;
import org.yaml.snakeyaml.LoaderOptions;
import org.yaml.snakeyaml.Yaml;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;
import tools.jackson.databind.node.ArrayNode;
import tools.jackson.databind.node.ObjectNode;

/**
 * {@code docs/asyncapi.yaml}, with what its references lead to in their places.
 *
 * @param asWritten with its references
 * @param resolved without
 */
record AsyncApiDocument(JsonNode asWritten, JsonNode resolved) {

	private static final Path FILE = Path.of("../docs/asyncapi.yaml");

	private static final JsonMapper JSON = JsonMapper.shared();

	private static final SchemaRegistry SCHEMAS = SchemaRegistry.withDefaultDialect(SpecificationVersion.DRAFT_7);

	static AsyncApiDocument read() throws IOException {
		LoaderOptions options = new LoaderOptions();
		options.setAllowDuplicateKeys(false);
		JsonNode document = JSON.valueToTree(new Yaml(options).load(Files.readString(FILE)));
		return new AsyncApiDocument(document, resolved(document, document));
	}

	/** What is at a place such as {@code /channels/requests}. */
	JsonNode at(String pointer) {
		JsonNode node = this.resolved.at(pointer);
		if (node.isMissingNode()) {
			throw new AssertionError(FILE + " has no " + pointer);
		}
		return node;
	}

	/** What a schema says against a value. */
	static List<String> errors(JsonNode schema, JsonNode value) {
		Schema read = SCHEMAS.getSchema(schema);
		return read
			.validate(value, (execution) -> execution.executionConfig((config) -> config.formatAssertionsEnabled(true)))
			.stream()
			.map(Object::toString)
			.toList();
	}

	/** A schema that refuses the fields that it does not name. */
	static JsonNode closed(JsonNode schema) {
		JsonNode copy = schema.deepCopy();
		close(copy);
		return copy;
	}

	private static void close(JsonNode schema) {
		if (schema instanceof ObjectNode object && object.has("properties")) {
			object.put("additionalProperties", false);
		}
		schema.forEach(AsyncApiDocument::close);
	}

	/** The properties that a schema names, also in its parts. */
	static Map<String, JsonNode> properties(JsonNode schema) {
		Map<String, JsonNode> all = new LinkedHashMap<>();
		schema.path("allOf").forEach((part) -> all.putAll(properties(part)));
		schema.path("properties").forEachEntry(all::put);
		return all;
	}

	/** The names of the fields in a schema, such as {@code end/status}. */
	static Set<String> fieldsOfSchema(JsonNode schema) {
		Set<String> names = new TreeSet<>();
		properties(schema).forEach((name, inner) -> {
			names.add(name);
			fieldsOfSchema(inner).forEach((each) -> names.add(name + "/" + each));
		});
		return names;
	}

	/** The names of the fields in a message, such as {@code end/status}. */
	static Set<String> fields(JsonNode message) {
		Set<String> names = new TreeSet<>();
		if (message.isObject()) {
			message.forEachEntry((name, inner) -> {
				names.add(name);
				fields(inner).forEach((each) -> names.add(name + "/" + each));
			});
		}
		return names;
	}

	private static JsonNode resolved(JsonNode document, JsonNode node) {
		if (node.path("$ref").isString()) {
			String reference = node.path("$ref").stringValue();
			JsonNode target = reference.startsWith("#") ? document.at(reference.substring(1)) : file(reference);
			if (target.isMissingNode()) {
				throw new AssertionError(FILE + ": " + reference + " leads nowhere");
			}
			return resolved(document, target);
		}
		if (node.isObject()) {
			ObjectNode object = JSON.createObjectNode();
			node.forEachEntry((name, inner) -> object.set(name, resolved(document, inner)));
			return object;
		}
		if (node.isArray()) {
			ArrayNode array = JSON.createArrayNode();
			node.forEach((inner) -> array.add(resolved(document, inner)));
			return array;
		}
		return node;
	}

	private static JsonNode file(String name) {
		return JSON.readTree(FILE.resolveSibling(name));
	}

}

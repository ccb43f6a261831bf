package io.calm.streaming.service;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;

import org.junit.jupiter.api.Test;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Holds {@code docs/kafka-properties.md} to the metadata that the IDEs show. With
 * {@code -Dcalm.docs.write=true} it writes the page.
 */
class PropertiesPageTests {

	private static final Path PAGE = Path.of("../docs/kafka-properties.md");

	private static final Path METADATA = Path.of("target/classes/META-INF/spring-configuration-metadata.json");

	@Test
	void pageIsUpToDate() throws IOException {
		String page = page();
		if (Boolean.getBoolean("calm.docs.write")) {
			Files.writeString(PAGE, page);
		}
		assertThat(PAGE).as("run this test with -Dcalm.docs.write=true to write the page, and commit it")
			.exists()
			.content()
			.isEqualTo(page);
	}

	private static String page() throws IOException {
		try (InputStream in = Files.newInputStream(METADATA)) {
			JsonNode metadata = JsonMapper.shared().readTree(in);
			String rows = StreamSupport.stream(metadata.path("properties").spliterator(), false)
				.map(PropertiesPageTests::row)
				.sorted()
				.collect(Collectors.joining("\n"));
			return """
					# The properties of the streaming generator

					Written by `PropertiesPageTests` from the module's configuration metadata: change the Javadoc of
					[`StreamingProperties`](../streaming-generator/src/main/java/io/calm/streaming/service/StreamingProperties.java), not this page.
					The model and its engine have [properties of their own](spring-properties.md); brokers, TLS and SASL are Spring Boot's `spring.kafka.*`.

					| property | default | meaning |
					|---|---|---|
					%s
					"""
				.formatted(rows);
		}
	}

	private static String row(JsonNode property) {
		String name = property.path("name").stringValue();
		JsonNode description = property.get("description");
		assertThat(description).as("the Javadoc of %s", name).isNotNull();
		JsonNode byDefault = property.get("defaultValue");
		return "| `%s` | %s | %s%s |".formatted(name, (byDefault != null) ? "`" + byDefault.asString() + "`" : "",
				Objects.requireNonNull(description).stringValue(), constants(property.path("type").stringValue()));
	}

	/** The choices of an enumeration. */
	private static String constants(String type) {
		if (!type.startsWith("io.calm.")) {
			return "";
		}
		try {
			Object[] constants = Objects.requireNonNull(Class.forName(type).getEnumConstants());
			return Arrays.stream(constants)
				.map((constant) -> "`" + constant.toString().toLowerCase(Locale.ROOT).replace('_', '-') + "`")
				.collect(Collectors.joining(", ", " One of ", "."));
		}
		catch (ClassNotFoundException ex) {
			throw new IllegalStateException(ex);
		}
	}

}

package io.calm.spring;

import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.StreamSupport;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Holds {@code docs/spring-properties.md} to the metadata that the IDEs show. With
 * {@code -Dcalm.docs.write=true} it writes the page.
 */
class PropertiesPageTests {

	private static final Path PAGE = Path.of("../docs/spring-properties.md");

	private static final String METADATA = "/META-INF/spring-configuration-metadata.json";

	@Test
	void pageIsUpToDate() throws IOException {
		String page = page();
		if (Boolean.getBoolean("calm.docs.write")) {
			Files.createDirectories(PAGE.resolveSibling(""));
			Files.writeString(PAGE, page);
		}
		assertThat(PAGE).as("run this test with -Dcalm.docs.write=true to write the page, and commit it")
			.exists()
			.content()
			.isEqualTo(page);
	}

	private static String page() throws IOException {
		try (Reader reader = new InputStreamReader(
				Objects.requireNonNull(CalmProperties.class.getResourceAsStream(METADATA)), StandardCharsets.UTF_8)) {
			JsonObject metadata = JsonParser.parseReader(reader).getAsJsonObject();
			String rows = StreamSupport.stream(metadata.getAsJsonArray("properties").spliterator(), false)
				.map(JsonElement::getAsJsonObject)
				.map(PropertiesPageTests::row)
				.sorted()
				.collect(Collectors.joining("\n"));
			return """
					# The properties of the Spring Boot starter

					Written by `PropertiesPageTests` from the starter's configuration metadata: change the Javadoc of
					[`CalmProperties`](../calm-spring-starter/src/main/java/io/calm/spring/CalmProperties.java),
					[`CalmMlflowProperties`](../calm-spring-starter/src/main/java/io/calm/spring/CalmMlflowProperties.java) and
					[`CalmHttpProperties`](../calm-spring-starter/src/main/java/io/calm/spring/http/CalmHttpProperties.java), not this page.

					| property | default | meaning |
					|---|---|---|
					%s
					"""
				.formatted(rows);
		}
	}

	private static String row(JsonObject property) {
		JsonElement description = property.get("description");
		assertThat(description).as("the Javadoc of %s", property.get("name")).isNotNull();
		JsonElement byDefault = property.get("defaultValue");
		return "| `%s` | %s | %s%s |".formatted(property.get("name").getAsString(),
				(byDefault != null) ? "`" + byDefault.getAsString() + "`" : "", description.getAsString(),
				constants(property.get("type").getAsString()));
	}

	/** The choices of an enumeration. */
	private static String constants(String type) {
		if (!type.startsWith("io.calm.")) {
			return "";
		}
		try {
			Object[] constants = Objects.requireNonNull(Class.forName(type).getEnumConstants());
			return Arrays.stream(constants)
				.map((constant) -> "`" + constant.toString().toLowerCase(Locale.ROOT) + "`")
				.collect(Collectors.joining(", ", " One of ", "."));
		}
		catch (ClassNotFoundException ex) {
			throw new IllegalStateException(ex);
		}
	}

}

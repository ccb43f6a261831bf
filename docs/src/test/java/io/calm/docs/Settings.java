package io.calm.docs;

import java.io.IOException;
import java.io.InputStreamReader;
import java.io.Reader;
import java.io.UncheckedIOException;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.TreeSet;

import com.google.gson.JsonElement;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;

import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.boot.context.properties.source.ConfigurationPropertySource;
import org.springframework.core.env.SystemEnvironmentPropertySource;

/**
 * The properties that applications have: those of the configuration metadata on the class
 * path, of Spring Boot's modules and of this project's.
 */
final class Settings {

	private static final String METADATA = "META-INF/spring-configuration-metadata.json";

	/** What is no property of a bean but read from the environment. */
	private static final List<String> OTHERS = List.of("calm.demo", "calm.demo.port");

	private final Map<String, String> types = new TreeMap<>();

	Settings(Repository repository) {
		try {
			for (URL url : Collections.list(Settings.class.getClassLoader().getResources(METADATA))) {
				read(url);
			}
			for (String module : repository.modules()) {
				// also of applications, which are on no class path
				Path classes = Repository.ROOT.resolve(module).resolve("target/classes");
				if (Files.exists(classes.resolve(METADATA))) {
					read(classes.resolve(METADATA).toUri().toURL());
				}
			}
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		OTHERS.forEach((name) -> this.types.put(name, ""));
	}

	private void read(URL url) throws IOException {
		try (Reader reader = new InputStreamReader(url.openStream(), StandardCharsets.UTF_8)) {
			JsonObject metadata = JsonParser.parseReader(reader).getAsJsonObject();
			for (JsonElement property : metadata.getAsJsonArray("properties")) {
				JsonElement type = property.getAsJsonObject().get("type");
				this.types.put(property.getAsJsonObject().get("name").getAsString(),
						(type != null) ? type.getAsString() : "");
			}
		}
	}

	boolean has(String name) {
		return this.types.containsKey(name) || this.types.entrySet()
			.stream()
			.anyMatch((each) -> each.getValue().startsWith("java.util.Map") && name.startsWith(each.getKey() + "."));
	}

	/** Whether properties begin with this: {@code calm.engine}. */
	boolean hasGroup(String prefix) {
		return this.types.keySet().stream().anyMatch((name) -> name.startsWith(prefix + "."));
	}

	/** Whether an environment variable sets a property, as Spring Boot binds it. */
	boolean hasVariable(String variable, String value) {
		Binder binder = new Binder(Objects.requireNonNull(ConfigurationPropertySource
			.from(new SystemEnvironmentPropertySource("systemEnvironment", Map.of(variable, value)))));
		String letters = letters(variable);
		return this.types.keySet()
			.stream()
			.filter((name) -> letters(name).equals(letters))
			.anyMatch((name) -> binder.bind(name, String.class).isBound());
	}

	private static String letters(String name) {
		return name.toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "");
	}

	/** The names, for messages. */
	List<String> like(String name) {
		String last = name.substring(name.lastIndexOf('.') + 1);
		return new TreeSet<>(this.types.keySet()).stream().filter((each) -> each.endsWith(last)).limit(5).toList();
	}

}

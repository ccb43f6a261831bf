package io.calm.docs;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * What the pages refer to: the modules with their jars, and words that stand in their
 * sources.
 */
final class Repository {

	/** The tests run in {@code docs}. */
	static final Path ROOT = Path.of("..").toAbsolutePath().normalize();

	private static final Pattern MODULE = Pattern.compile("<module>(.*?)</module>");

	private final List<String> modules = new ArrayList<>();

	private final String poms;

	private final String sources;

	Repository() {
		String parent = text(ROOT.resolve("pom.xml"));
		Matcher module = MODULE.matcher(parent);
		while (module.find()) {
			this.modules.add(module.group(1));
		}
		StringBuilder poms = new StringBuilder(parent);
		StringBuilder sources = new StringBuilder();
		for (String name : this.modules) {
			poms.append(text(ROOT.resolve(name).resolve("pom.xml")));
			Path source = ROOT.resolve(name).resolve("src");
			// versions alone have none
			if (!name.equals("docs") && Files.exists(source)) {
				sources.append(sources(source));
			}
		}
		this.poms = poms.toString();
		this.sources = sources.toString();
	}

	static String text(Path file) {
		try {
			return Files.readString(file);
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	private static String sources(Path directory) {
		try (Stream<Path> files = Files.walk(directory)) {
			StringBuilder all = new StringBuilder();
			files.filter((file) -> file.toString().matches(".*\\.(java|kt|js|html|properties)$"))
				.forEach((file) -> all.append(file.getFileName()).append('\n').append(text(file)));
			return all.toString();
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	List<String> modules() {
		return this.modules;
	}

	/** The first group of a pattern that occurs in a pom. */
	Optional<String> inPoms(String pattern) {
		Matcher matcher = Pattern.compile(pattern, Pattern.DOTALL).matcher(this.poms);
		return matcher.find() ? Optional.of(matcher.group(matcher.groupCount())) : Optional.empty();
	}

	/** A version of the parent's properties. */
	String version(String property) {
		return inPoms("<" + Pattern.quote(property) + ">(.*?)</").orElseThrow();
	}

	boolean inSources(String word) {
		return this.sources.contains(word);
	}

	/** The module that makes a jar, if {@code target} of one of them has it. */
	Optional<String> moduleOf(String jar) {
		return this.modules.stream()
			.filter((module) -> jar.startsWith(module + "/target/") && jars(module).contains(jar))
			.findFirst();
	}

	private static List<String> jars(String module) {
		String pom = text(ROOT.resolve(module).resolve("pom.xml"));
		String name = first(pom, "<finalName>(.*?)<");
		return List.of(module + "/target/" + name + ".jar",
				module + "/target/" + name + "-" + first(pom, "<classifier>(\\w+)</classifier>\\s*<attach>") + ".jar");
	}

	private static String first(String text, String pattern) {
		Matcher matcher = Pattern.compile(pattern).matcher(text);
		return matcher.find() ? matcher.group(1) : "";
	}

	/** The artifact of a module. */
	String artifact(String module) {
		return first(text(ROOT.resolve(module).resolve("pom.xml")).replaceFirst("(?s)<parent>.*?</parent>", ""),
				"<artifactId>(.*?)<");
	}

	/** The class that a module's jar starts. */
	String mainClass(String module) {
		return first(text(ROOT.resolve(module).resolve("pom.xml")), "<mainClass>(.*?)<");
	}

}

package io.calm.docs;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * What snippets of Java and Kotlin have in common: the class path, and the imports that
 * the pages leave out. A simple name is imported from this project, or from one of the
 * packages below; what is in none of them, or in two, the snippet must import itself.
 */
final class Snippets {

	private static final List<String> PACKAGES = List.of("java.nio.file", "java.time", "java.util",
			"java.util.concurrent", "java.util.stream", "org.springframework.boot",
			"org.springframework.boot.autoconfigure", "org.springframework.context.annotation",
			"org.springframework.http", "org.springframework.web.bind.annotation", "org.springframework.ai.chat.client",
			"org.springframework.ai.chat.model", "reactor.core.publisher");

	private static final Pattern NAME = Pattern.compile("(?<![.\\w\"])[A-Z]\\w*");

	/** Simple names of this project's public types, with their full names. */
	private final Map<String, Set<String>> types = new LinkedHashMap<>();

	Snippets() {
		for (String entry : classPath().split(File.pathSeparator)) {
			if (entry.matches(".*(calm|streaming).*") && !entry.contains("test-classes")) {
				index(Path.of(entry));
			}
		}
	}

	static String classPath() {
		// Surefire's own class path may be one jar that names the others
		String entries = System.getProperty("surefire.test.class.path", System.getProperty("java.class.path"));
		// this module has no classes but its tests, and the Kotlin compiler wants all
		// entries to exist
		return Stream.of(entries.split(File.pathSeparator))
			.filter((entry) -> Files.exists(Path.of(entry)))
			.collect(Collectors.joining(File.pathSeparator));
	}

	private void index(Path entry) {
		try {
			if (Files.isDirectory(entry)) {
				indexTree(entry);
			}
			else {
				try (FileSystem jar = FileSystems.newFileSystem(entry)) {
					indexTree(jar.getPath("/"));
				}
			}
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	private void indexTree(Path root) throws IOException {
		try (Stream<Path> files = Files.walk(root)) {
			files.map((file) -> root.relativize(file).toString().replace('\\', '/'))
				.filter((file) -> file.matches("io/calm/.*/?[A-Z]\\w*\\.class"))
				.map((file) -> file.substring(0, file.length() - ".class".length()).replace('/', '.'))
				.forEach((name) -> this.types
					.computeIfAbsent(name.substring(name.lastIndexOf('.') + 1), (simple) -> new TreeSet<>())
					.add(name));
		}
	}

	/** The imports of a snippet, without those that it has. */
	Set<String> imports(String code) {
		Set<String> imports = new LinkedHashSet<>();
		Matcher names = NAME.matcher(code);
		while (names.find()) {
			String name = names.group();
			if (!code.matches("(?s).*\\bimport [\\w.]*\\." + name + "\\b.*")) {
				Set<String> found = this.types.getOrDefault(name, Set.of())
					.stream()
					.filter(Snippets::isPublic)
					.collect(Collectors.toCollection(TreeSet::new));
				if (found.isEmpty()) {
					found = PACKAGES.stream()
						.map((each) -> each + "." + name)
						.filter(Snippets::isPublic)
						.collect(Collectors.toCollection(TreeSet::new));
				}
				if (found.size() == 1) {
					imports.addAll(found);
				}
			}
		}
		return imports;
	}

	private static boolean isPublic(String name) {
		try {
			return java.lang.reflect.Modifier
				.isPublic(Class.forName(name, false, Snippets.class.getClassLoader()).getModifiers());
		}
		catch (ClassNotFoundException | LinkageError ex) {
			return false;
		}
	}

	/** The lines with imports, and those without. */
	static Map<Boolean, String> split(String code) {
		return Arrays.stream(code.split("\n"))
			.collect(Collectors.partitioningBy((line) -> line.startsWith("import "), Collectors.joining("\n")));
	}

}

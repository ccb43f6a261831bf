package io.calm.examples.quickstart;

import java.io.BufferedWriter;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.SplittableRandom;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import com.google.gson.JsonObject;
import org.jspecify.annotations.Nullable;

/**
 * A grammar that writes texts, such as the resource {@code stories.grammar} beside this
 * class, which explains how one is written.
 *
 * @param start the rule that a text begins with
 * @param rules by name
 */
record Grammar(String start, Map<String, Rule> rules) {

	private static final Pattern REFERENCE = Pattern.compile("<([\\w-]+)(?:\\.(\\w+))?>");

	private static final Pattern SENTENCE_START = Pattern.compile("(?:^|[.!?] |\\.\" )\"?[a-z]");

	/** An endless, sequential stream of texts of one line each. */
	Stream<String> texts(long seed) {
		return new SplittableRandom(seed).longs()
			.mapToObj((textSeed) -> new Writer(this, new SplittableRandom(textSeed)).write());
	}

	/** A file of texts, which appears when it is complete. */
	void write(Path jsonl, long bytes, long seed) {
		Path unfinished = jsonl.resolveSibling(jsonl.getFileName() + ".unfinished");
		try {
			try (BufferedWriter writer = Files.newBufferedWriter(unfinished)) {
				long written = 0;
				for (Iterator<String> texts = texts(seed).iterator(); written < bytes;) {
					JsonObject line = new JsonObject();
					line.addProperty("text", texts.next());
					// the texts are ASCII: a character is a byte
					String json = line + "\n";
					writer.write(json);
					written += json.length();
				}
			}
			Files.move(unfinished, jsonl, StandardCopyOption.REPLACE_EXISTING);
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	static Grammar read(String name, String start) {
		Map<String, Rule> rules = new HashMap<>();
		List<String> alternatives = new ArrayList<>();
		try (InputStream resource = Grammar.class.getResourceAsStream(name)) {
			byte[] text = Objects.requireNonNull(resource, name).readAllBytes();
			for (String line : new String(text, StandardCharsets.UTF_8).lines().toList()) {
				if (line.startsWith("\t")) {
					alternatives.add(line.trim());
				}
				else if (!line.isBlank() && !line.startsWith("#")) {
					String[] head = line.split("[: ]+");
					alternatives = new ArrayList<>();
					rules.put(head[0], new Rule(List.of(head).subList(1, head.length), alternatives));
				}
			}
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		return new Grammar(start, rules);
	}

	/** A rule of the grammar; without fields, its alternatives are plain text. */
	record Rule(List<String> fields, List<String> alternatives) {
	}

	/** Writes one text, and remembers what is in it. */
	private static final class Writer {

		private final Grammar grammar;

		private final SplittableRandom random;

		private final Map<String, String> kept = new HashMap<>();

		Writer(Grammar grammar, SplittableRandom random) {
			this.grammar = grammar;
			this.random = random;
		}

		String write() {
			String text = expand("<" + this.grammar.start() + ">").replaceAll("\\b([Aa]) (?=[aeiou])", "$1n ");
			return SENTENCE_START.matcher(text).replaceAll((start) -> start.group().toUpperCase(Locale.ROOT));
		}

		private String expand(String text) {
			StringBuilder expanded = new StringBuilder();
			Matcher reference = REFERENCE.matcher(text);
			while (reference.find()) {
				reference.appendReplacement(expanded, "");
				expanded.append(resolve(reference.group(1), reference.group(2)));
			}
			return reference.appendTail(expanded).toString();
		}

		private String resolve(String name, @Nullable String field) {
			Rule rule = this.grammar.rules().get(name);
			if (rule == null) {
				throw new IllegalStateException("The grammar has no rule " + name);
			}
			String chosen = Character.isUpperCase(name.charAt(0)) ? this.kept.get(name) : null;
			if (chosen == null) {
				chosen = rule.alternatives().get(this.random.nextInt(rule.alternatives().size()));
				this.kept.put(name, chosen);
			}
			if (rule.fields().isEmpty()) {
				return expand(chosen);
			}
			String[] values = chosen.split(" / ");
			return values[(field != null) ? rule.fields().indexOf(field) : 0];
		}

	}

}

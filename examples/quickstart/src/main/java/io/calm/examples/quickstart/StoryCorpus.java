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
 * Short children's stories out of a grammar: as much English-like text as one asks for,
 * without a download and free of anybody's rights. A story has a hero, a friend, a
 * problem and an ending, 40 to 120 words of a vocabulary of a few hundred, so that a
 * model of a few million parameters learns it in minutes. The grammar is the resource
 * {@code stories.grammar} beside this class.
 */
public final class StoryCorpus {

	private static final Pattern REFERENCE = Pattern.compile("<([\\w-]+)(?:\\.(\\w+))?>");

	private static final Pattern SENTENCE_START = Pattern.compile("(?:^|[.!?] |\\.\" )\"?[a-z]");

	private static final Map<String, Rule> GRAMMAR = readGrammar();

	private StoryCorpus() {
	}

	/**
	 * An endless, sequential stream of stories.
	 * @param seed the same seed gives the same stories, on every machine
	 * @return the stories, each one line of text
	 */
	public static Stream<String> stories(long seed) {
		return new SplittableRandom(seed).longs()
			.mapToObj((storySeed) -> new Teller(new SplittableRandom(storySeed)).tell());
	}

	/**
	 * Writes a corpus: one JSON object with the field {@code text} on each line. The file
	 * appears when it is complete.
	 * @param jsonl the file, replaced if it exists
	 * @param bytes its size; the story that reaches it is the last
	 * @param seed the same seed gives the same file
	 * @throws UncheckedIOException if the file cannot be written
	 */
	public static void write(Path jsonl, long bytes, long seed) {
		Path unfinished = jsonl.resolveSibling(jsonl.getFileName() + ".unfinished");
		try {
			try (BufferedWriter writer = Files.newBufferedWriter(unfinished)) {
				long written = 0;
				for (Iterator<String> stories = stories(seed).iterator(); written < bytes;) {
					JsonObject line = new JsonObject();
					line.addProperty("text", stories.next());
					// the stories are ASCII: a character is a byte
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

	private static Map<String, Rule> readGrammar() {
		Map<String, Rule> grammar = new HashMap<>();
		List<String> alternatives = new ArrayList<>();
		try (InputStream resource = StoryCorpus.class.getResourceAsStream("stories.grammar")) {
			byte[] text = Objects.requireNonNull(resource, "stories.grammar").readAllBytes();
			for (String line : new String(text, StandardCharsets.UTF_8).lines().toList()) {
				if (line.startsWith("\t")) {
					alternatives.add(line.trim());
				}
				else if (!line.isBlank() && !line.startsWith("#")) {
					String[] head = line.split("[: ]+");
					alternatives = new ArrayList<>();
					grammar.put(head[0], new Rule(List.of(head).subList(1, head.length), alternatives));
				}
			}
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		return grammar;
	}

	/** A rule of the grammar; without fields, its alternatives are plain text. */
	private record Rule(List<String> fields, List<String> alternatives) {
	}

	/** Tells one story, and remembers who is in it. */
	private static final class Teller {

		private final SplittableRandom random;

		private final Map<String, String> kept = new HashMap<>();

		Teller(SplittableRandom random) {
			this.random = random;
		}

		String tell() {
			String story = expand("<story>").replaceAll("\\b([Aa]) (?=[aeiou])", "$1n ");
			return SENTENCE_START.matcher(story).replaceAll((start) -> start.group().toUpperCase(Locale.ROOT));
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
			Rule rule = GRAMMAR.get(name);
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

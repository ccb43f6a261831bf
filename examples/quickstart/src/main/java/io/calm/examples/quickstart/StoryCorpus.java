package io.calm.examples.quickstart;

import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * Short children's stories out of a grammar: as much English-like text as one asks for,
 * without a download and free of anybody's rights. A story has a hero, a friend, a
 * problem and an ending, 40 to 120 words of a vocabulary of a few hundred, so that a
 * model of a few million parameters learns it in minutes. The grammar is the resource
 * {@code stories.grammar} beside this class.
 */
public final class StoryCorpus {

	private static final Grammar GRAMMAR = Grammar.read("stories.grammar", "story");

	private StoryCorpus() {
	}

	/**
	 * An endless, sequential stream of stories.
	 * @param seed the same seed gives the same stories, on every machine
	 * @return the stories, each one line of text
	 */
	public static Stream<String> stories(long seed) {
		return GRAMMAR.texts(seed);
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
		GRAMMAR.write(jsonl, bytes, seed);
	}

}

package io.calm.docs;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;

/**
 * The files that a page's reader has and the test has not: {@code given stories.txt} in
 * the comment makes one. A model directory comes from a script before it on its page.
 */
final class GivenFiles {

	private static final List<String> WORDS = List.of("the", "a", "small", "kind", "fox", "dog", "baker", "said",
			"went", "to", "river", "and", "was", "happy", "one", "day");

	void write(Path directory, List<String> names) {
		for (String name : names) {
			Path file = directory.resolve(name);
			try {
				Files.createDirectories(file.getParent());
				Files.writeString(file, text(name.endsWith(".jsonl"), new Random(name.hashCode())));
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
		}
	}

	private static String text(boolean json, Random random) {
		StringBuilder text = new StringBuilder();
		for (int document = 0; document < 200; document++) {
			StringBuilder sentence = new StringBuilder();
			for (int word = 0; word < 30; word++) {
				sentence.append(WORDS.get(random.nextInt(WORDS.size()))).append(' ');
			}
			text.append(json ? "{\"text\": \"" + sentence + "\"}\n" : sentence + "\n");
		}
		return text.toString();
	}

}

package io.calm.examples.quickstart;

import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * Support tickets with their answers, out of a grammar: another domain than the
 * {@linkplain StoryCorpus stories}, for a model of these to be fine-tuned on. A ticket
 * names a product, what is wrong and an order; the answer fits what is wrong. The grammar
 * is the resource {@code tickets.grammar} beside this class.
 */
public final class TicketCorpus {

	private static final Grammar GRAMMAR = Grammar.read("tickets.grammar", "ticket");

	private TicketCorpus() {
	}

	/**
	 * An endless, sequential stream of tickets.
	 * @param seed the same seed gives the same tickets, on every machine
	 * @return the tickets, each one line of text
	 */
	public static Stream<String> tickets(long seed) {
		return GRAMMAR.texts(seed);
	}

	/**
	 * Writes a corpus: one JSON object with the field {@code text} on each line. The file
	 * appears when it is complete.
	 * @param jsonl the file, replaced if it exists
	 * @param bytes its size; the ticket that reaches it is the last
	 * @param seed the same seed gives the same file
	 * @throws UncheckedIOException if the file cannot be written
	 */
	public static void write(Path jsonl, long bytes, long seed) {
		GRAMMAR.write(jsonl, bytes, seed);
	}

}

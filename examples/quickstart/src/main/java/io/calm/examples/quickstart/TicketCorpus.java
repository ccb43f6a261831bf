package io.calm.examples.quickstart;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import com.google.gson.JsonObject;

/**
 * Support tickets with their answers, out of a grammar: another domain than the
 * {@linkplain StoryCorpus stories}, for a model of these to be fine-tuned on. A ticket
 * names a product, what is wrong and an order; the answer fits what is wrong. The grammar
 * is the resource {@code tickets.grammar} beside this class.
 */
public final class TicketCorpus {

	private static final Grammar GRAMMAR = Grammar.read("tickets.grammar", "ticket");

	private static final String ANSWER = " Support: ";

	/** What a ticket says, and the category that it belongs to. */
	private static final Map<Pattern, String> CATEGORIES = categories("network|loses the connection", "connection",
			"screen|red light|recognized", "device", "battery|very hot", "power", "error code|software crashes",
			"software", "login", "account", "charged|invoice|my money|discount", "billing",
			"not arrived|parcel|something else|tracking page", "delivery");

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

	/**
	 * Writes tickets with the category of each, for a model to learn to sort them: JSON
	 * objects with the fields {@code prompt}, a ticket without its answer, and
	 * {@code completion}, one of seven words.
	 * @param jsonl the file, replaced if it exists
	 * @param tickets how many
	 * @param seed the same seed gives the same file
	 * @throws UncheckedIOException if the file cannot be written
	 */
	public static void writeCategories(Path jsonl, int tickets, long seed) {
		List<String> lines = tickets(seed).limit(tickets).map((ticket) -> {
			String question = ticket.substring(0, ticket.indexOf(ANSWER));
			JsonObject line = new JsonObject();
			line.addProperty("prompt", question + "\nCategory:");
			line.addProperty("completion", " " + category(question));
			return line.toString();
		}).toList();
		try {
			Files.write(jsonl, lines);
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	private static String category(String ticket) {
		return CATEGORIES.entrySet()
			.stream()
			.filter((category) -> category.getKey().matcher(ticket).find())
			.findFirst()
			.orElseThrow(() -> new IllegalStateException("No category fits " + ticket))
			.getValue();
	}

	private static Map<Pattern, String> categories(String... wordsAndNames) {
		Map<Pattern, String> categories = new LinkedHashMap<>();
		for (int i = 0; i < wordsAndNames.length; i += 2) {
			categories.put(Pattern.compile(wordsAndNames[i]), wordsAndNames[i + 1]);
		}
		return categories;
	}

}

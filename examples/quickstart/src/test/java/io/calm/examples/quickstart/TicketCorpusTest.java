package io.calm.examples.quickstart;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import com.google.gson.JsonParser;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

class TicketCorpusTest {

	private static final Pattern PRODUCT = Pattern.compile("(?:Norvik|Halden|Tessera|Corvo|Lumen) \\w+");

	private final List<String> tickets = TicketCorpus.tickets(1).limit(5000).toList();

	@Test
	void ticketsAreSentencesWithAnAnswer() {
		assertThat(this.tickets).allSatisfy((ticket) -> {
			assertThat(ticket).matches("[A-Z].*[.?] Support: .*\\.").doesNotContain("<", ">", "  ", "/", "_");
			assertThat(ticket.chars()).allMatch((c) -> c >= ' ' && c < 127);
			assertThat(ticket).doesNotContainPattern("[.?] [a-z]");
		});
	}

	@Test
	void productStaysTheSame() {
		assertThat(this.tickets).allSatisfy((ticket) -> {
			Set<String> named = PRODUCT.matcher(ticket)
				.results()
				.map((found) -> found.group())
				.collect(Collectors.toSet());
			assertThat(named).hasSize(1);
		});
	}

	@Test
	void answerFitsTheFault() {
		List<String> black = this.tickets.stream().filter((ticket) -> ticket.contains("screen stays black")).toList();
		assertThat(black).isNotEmpty().allMatch((ticket) -> ticket.contains("lease hold the power button"));
	}

	@Test
	void ticketsDiffer() {
		assertThat(this.tickets).doesNotHaveDuplicates();
		assertThat(TicketCorpus.tickets(2).limit(5000)).doesNotContainAnyElementsOf(this.tickets);
	}

	@Test
	void writesTheSameFileForTheSameSeed(@TempDir Path directory) {
		Path one = directory.resolve("one.jsonl");
		Path other = directory.resolve("other.jsonl");
		TicketCorpus.write(one, 20_000, 1);
		TicketCorpus.write(other, 20_000, 1);
		assertThat(one).hasSameBinaryContentAs(other);
	}

	@Test
	void everyTicketHasOneOfSevenCategories(@TempDir Path directory) throws IOException {
		Path file = directory.resolve("categories.jsonl");
		TicketCorpus.writeCategories(file, 2000, 1);
		Map<String, Long> categories = Files.readAllLines(file).stream().map((line) -> {
			assertThat(line).contains("\\nCategory:\"").doesNotContain("Support:");
			return JsonParser.parseString(line).getAsJsonObject().get("completion").getAsString();
		}).collect(Collectors.groupingBy((category) -> category, Collectors.counting()));
		assertThat(categories).hasSize(7).allSatisfy((category, count) -> assertThat(count).isBetween(60L, 600L));
	}

}

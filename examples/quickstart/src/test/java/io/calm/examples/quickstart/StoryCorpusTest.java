package io.calm.examples.quickstart;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;

import com.google.gson.JsonParser;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

class StoryCorpusTest {

	private static final Pattern SHE = Pattern.compile("\\b(she|her|girl)\\b", Pattern.CASE_INSENSITIVE);

	private static final Pattern HE = Pattern.compile("\\b(he|him|his|boy)\\b", Pattern.CASE_INSENSITIVE);

	private final List<String> stories = StoryCorpus.stories(1).limit(5000).toList();

	@Test
	void storiesAreSentences() {
		assertThat(this.stories).allSatisfy((story) -> {
			assertThat(story).matches("[\"A-Z].*[.!?]\"?").doesNotContain("<", ">", "  ", "/", "_");
			assertThat(story.chars()).allMatch((c) -> c >= ' ' && c < 127);
			assertThat(story.chars().filter((c) -> c == '"').count() % 2).isZero();
			assertThat(story).doesNotContainPattern("\\. [a-z]").doesNotContainPattern("\\b[Aa] [aeiou]");
		});
	}

	@Test
	void storiesAreShort() {
		assertThat(this.stories).allSatisfy((story) -> assertThat(story.split(" ").length).isBetween(40, 120));
	}

	@Test
	void pronounsAgree() {
		assertThat(this.stories)
			.allSatisfy((story) -> assertThat(SHE.matcher(story).find()).isNotEqualTo(HE.matcher(story).find()));
	}

	@Test
	void heroStaysTheSame() {
		Set<String> heroes = Set.of("Mia", "Lily", "Emma", "Nora", "Zoe", "Ruby", "Ella", "Ivy", "Tim", "Leo", "Sam",
				"Max", "Ben", "Noah", "Finn", "Oscar");
		assertThat(this.stories).allSatisfy((story) -> {
			Set<String> named = words(List.of(story));
			named.retainAll(heroes);
			assertThat(named).hasSize(1);
		});
	}

	@Test
	void vocabularyIsSmall() {
		assertThat(words(this.stories)).hasSizeBetween(300, 600);
		assertThat(words(this.stories.stream().map(String::toLowerCase).toList())).hasSizeBetween(300, 500);
	}

	private static Set<String> words(List<String> stories) {
		Set<String> words = new TreeSet<>();
		stories.forEach((story) -> words.addAll(Arrays.asList(story.split("[^A-Za-z]+"))));
		words.remove("");
		return words;
	}

	@Test
	void storiesDiffer() {
		assertThat(this.stories).doesNotHaveDuplicates();
		assertThat(StoryCorpus.stories(2).limit(5000)).doesNotContainAnyElementsOf(this.stories);
	}

	@Test
	void writesTheSameFileForTheSameSeed(@TempDir Path directory) throws IOException {
		Path file = directory.resolve("stories.jsonl");
		StoryCorpus.write(file, 100_000, 1);
		List<String> lines = Files.readAllLines(file);
		assertThat(Files.size(file)).isBetween(100_000L, 101_000L);
		assertThat(
				lines.stream().map((line) -> JsonParser.parseString(line).getAsJsonObject().get("text").getAsString()))
			.containsExactlyElementsOf(this.stories.subList(0, lines.size()));
		byte[] first = Files.readAllBytes(file);
		StoryCorpus.write(file, 100_000, 1);
		assertThat(file).hasBinaryContent(first);
		assertThat(directory).isDirectoryContaining((path) -> path.equals(file))
			.isDirectoryNotContaining("glob:**.unfinished");
	}

}

package io.calm.docs;

import java.io.IOException;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.opentest4j.TestAbortedException;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

/**
 * The site that {@code docs/site/build} makes of the pages. Skipped without Python 3, and
 * where no Javadoc has been built.
 */
class SiteTest {

	private static final Path SITE = Repository.ROOT.resolve("target/site");

	/** What a browser fetches or follows. */
	private static final Pattern REFERENCE = Pattern
		.compile("<(script|link|img|iframe|a)\\b[^>]*?\\s(?:src|href)=\"?([^\"\\s>]+)");

	@BeforeAll
	static void build() throws IOException, InterruptedException {
		assumeTrue(Files.exists(Repository.ROOT.resolve("streaming-generator/target/reports/apidocs/index.html")),
				"no Javadoc: run mvn package first");
		try {
			new ProcessBuilder("python3", "--version").redirectErrorStream(true).start().waitFor();
		}
		catch (IOException ex) {
			throw new TestAbortedException("Python 3 is needed", ex);
		}
		Process build = new ProcessBuilder("docs/site/build").directory(Repository.ROOT.toFile())
			.redirectErrorStream(true)
			.start();
		String output = new String(build.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
		// broken links between pages are errors of the build
		assertThat(build.waitFor()).as(output).isZero();
	}

	@Test
	void hasEveryPage() throws IOException {
		try (Stream<Path> pages = Files.list(Repository.ROOT.resolve("docs"))) {
			List<String> expected = pages.map((page) -> page.getFileName().toString())
				.filter((name) -> name.endsWith(".md"))
				.map((name) -> name.replace(".md", ".html"))
				.toList();
			assertThat(expected).isNotEmpty().allSatisfy((name) -> {
				assertThat(SITE.resolve(name)).exists();
				assertThat(Files.readString(SITE.resolve("index.html"))).as("navigation").contains(name);
			});
		}
	}

	@Test
	void linksLeadSomewhere() throws IOException {
		List<String> broken = new ArrayList<>();
		for (Path page : pages()) {
			Matcher reference = REFERENCE.matcher(Files.readString(page));
			while (reference.find()) {
				String target = reference.group(2).replaceFirst("[#?].*", "");
				if (target.isEmpty() || target.matches("[a-z]+:.*")) {
					continue;
				}
				Path file = page.resolveSibling(URLDecoder.decode(target, StandardCharsets.UTF_8));
				if (!Files.exists(file.normalize())) {
					broken.add(SITE.relativize(page) + ": " + reference.group(2));
				}
			}
		}
		assertThat(broken).isEmpty();
	}

	@Test
	void readingFetchesNothingFromTheNetwork() throws IOException {
		List<String> fetched = new ArrayList<>();
		for (Path page : pages()) {
			String html = Files.readString(page);
			assertThat(html).as("parts of %s that scripts fill from the network", page).doesNotContain("md-source\"");
			Matcher reference = REFERENCE.matcher(html);
			while (reference.find()) {
				boolean followed = reference.group(1).equals("a") || reference.group().contains("rel=\"canonical\"");
				if (!followed && reference.group(2).matches("(https?:)?//.*")) {
					fetched.add(SITE.relativize(page) + ": " + reference.group(2));
				}
			}
		}
		assertThat(fetched).isEmpty();
	}

	/** The pages, without the Javadoc. */
	private static List<Path> pages() throws IOException {
		try (Stream<Path> files = Files.list(SITE)) {
			// its links begin at the root of the server
			List<Path> pages = files.filter((file) -> file.toString().endsWith(".html"))
				.filter((file) -> !file.endsWith("404.html"))
				.toList();
			assertThat(pages).hasSizeGreaterThan(20);
			return pages;
		}
	}

}

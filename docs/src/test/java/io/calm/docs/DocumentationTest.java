package io.calm.docs;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every page, block by block.
 */
class DocumentationTest {

	@TestFactory
	Stream<DynamicContainer> pages(@TempDir Path directory) throws IOException {
		List<Path> files = new ArrayList<>(
				List.of(Repository.ROOT.resolve("README.md"), Repository.ROOT.resolve("CONTRIBUTING.md")));
		try (Stream<Path> docs = Files.list(Repository.ROOT.resolve("docs"))) {
			docs.filter((file) -> file.toString().endsWith(".md")).sorted().forEach(files::add);
		}
		PageTests tests = new PageTests(directory);
		List<DynamicContainer> pages = new ArrayList<>();
		for (Path file : files) {
			Page page = Page.read(Repository.ROOT, file);
			pages.add(DynamicContainer.dynamicContainer(page.name(), tests.of(page)));
		}
		return pages.stream();
	}

}

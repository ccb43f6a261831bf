package io.calm.docs;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * The pages whose scripts take as long as those of all others: this module is the last of
 * the build, and has two processes.
 */
class LongPagesTest {

	static final List<String> PAGES = List.of("docs/getting-started.md", "docs/performance.md");

	@TestFactory
	Stream<DynamicContainer> pages(@TempDir Path directory) throws IOException {
		List<DynamicContainer> pages = new PageTests(directory).of(PAGES::contains).toList();
		assertThat(pages).hasSameSizeAs(PAGES);
		return pages.stream();
	}

}

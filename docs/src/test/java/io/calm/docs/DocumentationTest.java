package io.calm.docs;

import java.io.IOException;
import java.nio.file.Path;
import java.util.stream.Stream;

import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.io.TempDir;

/**
 * Every page, block by block, but those of {@link LongPagesTest}.
 */
class DocumentationTest {

	@TestFactory
	Stream<DynamicContainer> pages(@TempDir Path directory) throws IOException {
		return new PageTests(directory).of((page) -> !LongPagesTest.PAGES.contains(page));
	}

}

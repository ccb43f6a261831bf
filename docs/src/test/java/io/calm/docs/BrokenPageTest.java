package io.calm.docs;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * The test of the pages fails when one of them is broken: here the README, by one change
 * at a time.
 */
class BrokenPageTest {

	private static final String README = Repository.text(Repository.ROOT.resolve("README.md"));

	private final Path directory;

	BrokenPageTest(@TempDir Path directory) {
		this.directory = directory;
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|',
			textBlock = """
					mvn -B verify                    | mvn -B verifyy                   | a phase of Maven
					-DskipTests package              | -DskipTest package               | nothing reads the property skipTest
					kafka-pipeline/target            | kafka-pipelines/target           | no module makes
					calm.jar benchmark               | calm.jar bench                   | Unmatched argument
					energy-step\\n```                 | energy-step --run 3\\n```         | Unknown options: '--run'
					--runs 1                         | --runs 0                         | says:
					training\\n        .corpus        | training\\n        .korpus        | symbol:   method korpus
					it.patchSize(4)                  | it.patchsize(4)                  | unresolved reference 'patchsize'
					<artifactId>calm-spring-starter  | <artifactId>calm-spring-start    | this build does not use calm-spring-start
					<version>0.1.0-SNAPSHOT          | <version>0.1.1                   | the version of calm-spring-starter
					calm.model.location=             | calm.model.path=                 | there is no property calm.model.path
					```properties                    | ```toml                          | nobody knows how to check a block of 'toml'
					mvn -B -q                        | maven -B -q                      | nobody knows how to check 'maven
					(docs/performance.md)            | (docs/perfomance.md)             | leads nowhere
					`calm-spring-starter`            | `calm.model.nome`                | nothing is called calm.model.nome
					""")
	void oneChangeIsFound(String right, String wrong, String message) throws Exception {
		assertThat(README).contains(line(right));
		List<String> failures = failures(changed(README.replace(line(right), line(wrong))));
		assertThat(failures).hasSize(1).allMatch((failure) -> failure.contains(message));
	}

	@Test
	void outputThatIsNotPrintedIsFound() throws Exception {
		String page = """
				```sh
				echo accuracy 0.5
				```

				```text
				accuracy  0.7
				```

				```text
				perplexity  0.7
				```
				""";
		assertThat(failures(Page.of("page.md", page))).hasSize(1)
			.allMatch((failure) -> failure.contains("'perplexity  0.7' is not printed"));
	}

	private static String line(String text) {
		return text.replace("\\n", "\n");
	}

	/** What is in this README and not in the real one. */
	private static Page changed(String readme) {
		Page right = Page.of("README.md", README);
		Page wrong = Page.of("README.md", readme);
		return new Page(wrong.name(), without(wrong.blocks(), right.blocks()), without(wrong.words(), right.words()),
				without(wrong.links(), right.links()), wrong.anchors());
	}

	private static <T> List<T> without(List<T> all, List<T> some) {
		return all.stream().filter((each) -> !some.contains(each)).toList();
	}

	private List<String> failures(Page page) throws Exception {
		List<String> failures = new ArrayList<>();
		for (DynamicTest test : new PageTests(this.directory).of(page)) {
			try {
				test.getExecutable().execute();
			}
			catch (Throwable ex) {
				failures.add(ex.getClass().getName() + ": " + ex.getMessage());
			}
		}
		return failures;
	}

}

package io.calm.docs;

import java.io.IOException;
import java.io.StringReader;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.function.Predicate;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import com.google.gson.JsonParser;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.function.Executable;
import org.yaml.snakeyaml.Yaml;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

/**
 * The tests of a page: one for each block, one for its links, one for its words.
 */
final class PageTests {

	private static final Pattern NAME = Pattern.compile("calm(\\.[a-z][a-z0-9_-]*)+");

	private final Path directory;

	private final Repository repository = new Repository();

	private final Settings settings = new Settings(this.repository);

	private final Commands commands = new Commands(this.repository, this.settings);

	private final Snippets snippets = new Snippets();

	private final GivenFiles given = new GivenFiles();

	PageTests(Path directory) {
		this.directory = directory;
	}

	/**
	 * The tests of the README, of CONTRIBUTING.md and of the pages.
	 * @param chosen by their names, such as {@code docs/train.md}
	 */
	Stream<DynamicContainer> of(Predicate<String> chosen) throws IOException {
		List<Path> files = new ArrayList<>(
				List.of(Repository.ROOT.resolve("README.md"), Repository.ROOT.resolve("CONTRIBUTING.md")));
		try (Stream<Path> docs = Files.list(Repository.ROOT.resolve("docs"))) {
			docs.filter((file) -> file.toString().endsWith(".md")).sorted().forEach(files::add);
		}
		List<DynamicContainer> pages = new ArrayList<>();
		for (Path file : files) {
			Page page = Page.read(Repository.ROOT, file);
			if (chosen.test(page.name())) {
				pages.add(DynamicContainer.dynamicContainer(page.name(), of(page)));
			}
		}
		return pages.stream();
	}

	List<DynamicTest> of(Page page) throws IOException {
		Path work = Files.createTempDirectory(this.directory, "page");
		Scripts scripts = new Scripts(this.repository, work);
		List<DynamicTest> tests = new ArrayList<>();
		for (Block block : page.blocks()) {
			String name = "line " + block.line() + ", " + block.language();
			tests.add(switch (block.language()) {
				case "java" -> test(name, () -> new JavaSnippets(this.snippets).check(block));
				case "kotlin" -> test(name, () -> new KotlinSnippets(this.snippets, work).check(block));
				case "sh", "" -> script(name, scripts, work, block);
				case "xml" -> test(name, () -> new Dependencies(this.repository).check(block));
				case "yaml" -> test(name, () -> yaml(block, work));
				case "properties" -> test(name, () -> properties(block));
				case "json" -> test(name, () -> JsonParser.parseString(block.text()));
				case "python" -> test(name, () -> python(block));
				case "text" -> text(name, scripts, block);
				default -> test(name,
						() -> fail("%s: nobody knows how to check a block of '%s'", block.where(), block.language()));
			});
		}
		tests.add(test("links", () -> page.links().forEach((link) -> link(page, link))));
		tests.add(test("words", () -> page.words().forEach((word) -> word(page, word))));
		return tests;
	}

	private static DynamicTest test(String name, Executable executable) {
		return DynamicTest.dynamicTest(name, executable);
	}

	private DynamicTest script(String name, Scripts scripts, Path work, Block block) {
		String reason = scripts.notRun(block);
		return test(name + ((reason != null) ? " checked, not run: " + reason : " run"), () -> {
			List<Command> all = Command.of(block.text());
			assertThat(all).as("%s: commands", block.where()).isNotEmpty();
			all.forEach((command) -> this.commands.check(block.where(), command));
			if (reason == null) {
				this.given.write(work, block.given());
				scripts.run(block);
			}
		});
	}

	/** Output, or a reason not to compare it. */
	private static DynamicTest text(String name, Scripts scripts, Block block) {
		if (block.hasRemark("not compared")) {
			return test(name + " not compared: " + block.remarks("not compared").get(0), () -> {
			});
		}
		return test(name + " output", () -> scripts.checkOutput(block));
	}

	/** A script that the tests of calm-mlflow run, word by word. */
	private void python(Block block) throws IOException {
		try (Stream<Path> scripts = Files.walk(Repository.ROOT.resolve("calm-mlflow/src/test/resources"))) {
			List<String> texts = new ArrayList<>();
			for (Path script : scripts.filter((path) -> path.toString().endsWith(".py")).toList()) {
				texts.add(Files.readString(script).strip());
			}
			assertThat(texts).as("%s: the scripts that are run", block.where()).contains(block.text().strip());
		}
	}

	private void yaml(Block block, Path work) throws IOException {
		Object value = new Yaml().load(block.text());
		for (String sweep : block.remarks("a sweep")) {
			Commands.checkSweep(block.where(), (Map<?, ?>) value);
			Files.writeString(work.resolve(sweep), block.text());
			return;
		}
		if (block.hasRemark("a run")) {
			((Map<?, ?>) value).keySet().forEach((key) -> Commands.checkRunKey(block.where(), key.toString()));
		}
		else {
			yaml(block.where(), "", value);
		}
	}

	private void yaml(String where, String prefix, Object value) {
		if (value instanceof Map<?, ?> map) {
			map.forEach((key, inner) -> yaml(where, prefix + (prefix.isEmpty() ? "" : ".") + key, inner));
		}
		else {
			this.commands.name(where, prefix);
		}
	}

	private void properties(Block block) {
		Properties properties = new Properties();
		try {
			properties.load(new StringReader(block.text()));
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		properties.stringPropertyNames().forEach((name) -> this.commands.name(block.where(), name));
	}

	private void link(Page page, String link) {
		if (link.matches("(https?|mailto):.*")) {
			return;
		}
		String file = link.replaceFirst("#.*", "");
		Path target = file.isEmpty() ? Repository.ROOT.resolve(page.name())
				: Repository.ROOT.resolve(page.name()).resolveSibling(file).normalize();
		assertThat(Files.exists(target)).as("%s: the link %s leads nowhere", page.name(), link).isTrue();
		int anchor = link.indexOf('#');
		if (anchor >= 0) {
			try {
				assertThat(Page.read(Repository.ROOT, target).anchors()).as("%s: the link %s", page.name(), link)
					.contains(link.substring(anchor + 1));
			}
			catch (IOException ex) {
				throw new UncheckedIOException(ex);
			}
		}
	}

	/**
	 * Names of properties, metrics, topics: a property, or a word of the sources; and
	 * commands in a line of text.
	 */
	private void word(Page page, String word) {
		if (NAME.matcher(word.replaceFirst("[=:].*", "")).matches() && !word.endsWith(".jar")) {
			String name = word.replaceFirst("[=:].*", "");
			boolean known = this.settings.has(name) || this.settings.hasGroup(name) || this.repository.inSources(name)
					|| this.repository.inPoms("<(" + name + ")>").isPresent();
			assertThat(known).as("%s: nothing is called %s; like it: %s", page.name(), name, this.settings.like(name))
				.isTrue();
		}
		if (word.matches("--(calm|spring|server|management)\\.[\\w.-]+(=.*)?")) {
			String name = word.substring(2).replaceFirst("=.*", "");
			assertThat(this.settings.has(name) || this.repository.inSources(name))
				.as("%s: there is no property %s; like it: %s", page.name(), name, this.settings.like(name))
				.isTrue();
		}
		if (word.matches("mvn .*|java -jar .*") && !word.contains("…")) {
			Command.of(word).forEach((command) -> this.commands.check(page.name(), command));
		}
	}

}

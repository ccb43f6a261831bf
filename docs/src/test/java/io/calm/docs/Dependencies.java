package io.calm.docs;

import java.io.File;
import java.io.IOException;
import java.io.StringReader;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.stream.IntStream;

import javax.xml.parsers.DocumentBuilderFactory;
import javax.xml.parsers.ParserConfigurationException;

import org.w3c.dom.Document;
import org.w3c.dom.Element;
import org.w3c.dom.Node;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;
import org.xml.sax.SAXException;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Checks dependencies in a block of XML: modules of this build, or artifacts that it has
 * on a class path, in the versions that it uses.
 */
final class Dependencies {

	private final Repository repository;

	Dependencies(Repository repository) {
		this.repository = repository;
	}

	void check(Block block) {
		List<Map<String, String>> artifacts = artifacts(block);
		assertThat(artifacts).as("%s: dependencies or parents", block.where()).isNotEmpty();
		for (Map<String, String> artifact : artifacts) {
			String name = artifact.getOrDefault("artifactId", "");
			String used = version(artifact.getOrDefault("groupId", ""), name)
				.orElseThrow(() -> new AssertionError(block.where() + ": this build does not use " + name));
			if (artifact.containsKey("version")) {
				assertThat(artifact.get("version"))
					.as("%s: the version of %s that this build uses", block.where(), name)
					.isEqualTo(used);
			}
		}
	}

	private static List<Map<String, String>> artifacts(Block block) {
		try {
			Document document = DocumentBuilderFactory.newDefaultInstance()
				.newDocumentBuilder()
				.parse(new InputSource(new StringReader("<block>" + block.text() + "</block>")));
			NodeList names = document.getElementsByTagName("artifactId");
			return IntStream.range(0, names.getLength())
				.mapToObj((i) -> children((Element) names.item(i).getParentNode()))
				.toList();
		}
		catch (ParserConfigurationException | SAXException | IOException ex) {
			throw new AssertionError(block.where() + ": is not well-formed", ex);
		}
	}

	private static Map<String, String> children(Element element) {
		Map<String, String> children = new HashMap<>();
		for (Node child = element.getFirstChild(); child != null; child = child.getNextSibling()) {
			if (child instanceof Element inner) {
				children.put(inner.getTagName(), inner.getTextContent().strip());
			}
		}
		return children;
	}

	private Optional<String> version(String group, String artifact) {
		if (group.equals("io.calm")) {
			return this.repository.modules()
				.stream()
				.filter((module) -> this.repository.artifact(module).equals(artifact))
				.map((module) -> this.repository.version("version"))
				.findFirst();
		}
		if (artifact.equals("spring-boot-starter-parent")) {
			return Optional.of(this.repository.version("spring-boot.version"));
		}
		return Arrays.stream(Snippets.classPath().split(File.pathSeparator))
			.map((entry) -> new File(entry).getName())
			.filter((entry) -> entry.matches(Pattern.quote(artifact) + "-\\d.*"))
			.map((entry) -> entry.substring(artifact.length() + 1).replaceFirst("(-[a-z].*)?\\.jar$", ""))
			.findFirst();
	}

}

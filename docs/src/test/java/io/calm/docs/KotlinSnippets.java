package io.calm.docs;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import org.jetbrains.kotlin.cli.common.ExitCode;
import org.jetbrains.kotlin.cli.jvm.K2JVMCompiler;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Compiles a block of Kotlin, warnings being errors: declarations as they are, statements
 * inside a function that may suspend. What the comment in front gives are properties.
 */
final class KotlinSnippets {

	private static final Pattern DECLARATION = Pattern.compile(
			"\\s*(@\\w+(\\(.*?\\))?\\s+)*(private |open |data |suspend )*(class|interface|object|fun) .*",
			Pattern.DOTALL);

	private final Snippets snippets;

	private final Path directory;

	KotlinSnippets(Snippets snippets, Path directory) {
		this.snippets = snippets;
		this.directory = directory;
	}

	void check(Block block) {
		try {
			Path file = Files.writeString(Files.createTempFile(this.directory, "Snippet", ".kt"), source(block));
			ByteArrayOutputStream messages = new ByteArrayOutputStream();
			ExitCode exit = new K2JVMCompiler().exec(new PrintStream(messages, true, StandardCharsets.UTF_8),
					file.toString(), "-classpath", Snippets.classPath(), "-d",
					this.directory.resolve("classes").toString(), "-jvm-target", "17", "-no-stdlib", "-no-reflect",
					"-Werror");
			assertThat(exit)
				.as("%s: Kotlin that does not compile:%n%s%n%s", block.where(),
						messages.toString(StandardCharsets.UTF_8), Files.readString(file))
				.isEqualTo(ExitCode.OK);
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	private String source(Block block) {
		Map<Boolean, String> lines = Snippets.split(block.text());
		String code = String.valueOf(lines.get(false));
		String given = block.given()
			.stream()
			.map((each) -> each.split(" "))
			.map((each) -> "val " + each[1] + ": " + each[0] + " get() = TODO()\n")
			.collect(Collectors.joining());
		String imports = this.snippets.imports(given + block.text())
			.stream()
			.map((name) -> "import " + name + "\n")
			.collect(Collectors.joining()) + lines.get(true) + "\n";
		return imports + given
				+ (DECLARATION.matcher(code).matches() ? code : "suspend fun snippet() {\n" + code + "\n}\n");
	}

}

package io.calm.docs;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import javax.tools.Diagnostic;
import javax.tools.DiagnosticCollector;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

import com.sun.source.util.JavacTask;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Compiles a block of Java against the real classes: types as they are, members inside a
 * class, statements inside a method. What the comment in front gives are fields.
 */
final class JavaSnippets {

	private static final Pattern TYPE = Pattern.compile(
			"\\s*(@\\w+(\\(.*?\\))?\\s+)*(public |final |abstract |sealed )*(class|interface|record|enum) .*",
			Pattern.DOTALL);

	private static final Pattern MEMBER = Pattern.compile("\\s*(@|public |private |protected |static ).*",
			Pattern.DOTALL);

	private static final List<String> OPTIONS = List.of("-proc:none", "-Xlint:deprecation,removal,unchecked,rawtypes",
			"-classpath", Snippets.classPath());

	private final Snippets snippets;

	JavaSnippets(Snippets snippets) {
		this.snippets = snippets;
	}

	void check(Block block) {
		String source = source(block);
		JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
		DiagnosticCollector<JavaFileObject> diagnostics = new DiagnosticCollector<>();
		try {
			// everything but the class files
			((JavacTask) compiler.getTask(null, null, diagnostics, OPTIONS, null, List.of(new Source(source))))
				.analyze();
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		List<String> errors = diagnostics.getDiagnostics()
			.stream()
			.filter((each) -> each.getKind() != Diagnostic.Kind.NOTE)
			.map((each) -> each.getMessage(Locale.ROOT) + " in: "
					+ source.lines().skip(Math.max(0, each.getLineNumber() - 1)).findFirst().orElse(""))
			.toList();
		assertThat(errors).as("%s: Java that does not compile:%n%s", block.where(), source).isEmpty();
	}

	private String source(Block block) {
		Map<Boolean, String> lines = Snippets.split(block.text());
		String code = String.valueOf(lines.get(false));
		String given = block.given().stream().map((each) -> each + ";\n").collect(Collectors.joining());
		String imports = this.snippets.imports(given + block.text())
			.stream()
			.map((name) -> "import " + name + ";\n")
			.collect(Collectors.joining()) + lines.get(true) + "\n";
		if (TYPE.matcher(code).matches()) {
			return imports + code.replaceFirst("public (?=(final )?(class|interface|record|enum) )", "");
		}
		if (MEMBER.matcher(code).matches()) {
			return imports + "class Snippet {\n" + given + code + "}\n";
		}
		return imports + "class Snippet {\n" + given + "void run() throws Exception {\n" + code + "}\n}\n";
	}

	private static final class Source extends SimpleJavaFileObject {

		private final String text;

		Source(String text) {
			super(URI.create("string:///Snippet.java"), Kind.SOURCE);
			this.text = text;
		}

		@Override
		public CharSequence getCharContent(boolean ignoreEncodingErrors) {
			return this.text;
		}

	}

}

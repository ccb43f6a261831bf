package io.calm.docs;

import java.io.File;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.jar.Attributes;
import java.util.jar.JarOutputStream;
import java.util.jar.Manifest;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

import org.jspecify.annotations.Nullable;
import picocli.CommandLine;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Runs the scripts of a page, one after the other, with the shell in a directory of their
 * own, where the jars have the places that they have in the repository. Scripts of
 * nothing but the command lines run, if the comment in front does not say
 * {@code not run: why}. With {@code with --steps 2} in it, commands that know this option
 * get it, instead of their value, so that seconds are enough.
 */
final class Scripts {

	/** Why a script with this program in it is checked, but not run. */
	private static final List<String> NOT_RUN = List.of("mvn: this build is one",
			"curl: asks a service that the tests of its module start", "git: fetches from the network",
			"zip: packs what a release has made", "python3: installs from the network",
			"pip: installs from the network", "mlflow: the tests of calm-mlflow start the server",
			"lm_eval: asks a service that ServeClientsTest starts", "docker: there may be none",
			"kubectl: there may be none", "build: SiteTest does");

	private final Repository repository;

	private final Path directory;

	private String output = "";

	Scripts(Repository repository, Path directory) {
		this.repository = repository;
		this.directory = directory;
		for (String module : repository.modules()) {
			for (String jar : List.of("calm.jar", "quickstart.jar")) {
				String path = module + "/target/" + jar;
				if (repository.moduleOf(path).isPresent()) {
					writeJar(directory.resolve(path), repository.mainClass(module));
				}
			}
		}
	}

	/** A jar that names this test's class path. */
	private static void writeJar(Path file, String mainClass) {
		Manifest manifest = new Manifest();
		Attributes attributes = manifest.getMainAttributes();
		attributes.put(Attributes.Name.MANIFEST_VERSION, "1.0");
		attributes.put(Attributes.Name.MAIN_CLASS, mainClass);
		attributes.put(Attributes.Name.CLASS_PATH,
				Arrays.stream(Snippets.classPath().split(File.pathSeparator))
					.map((entry) -> Path.of(entry).toUri().toString())
					.collect(Collectors.joining(" ")));
		try {
			Files.createDirectories(file.getParent());
			try (OutputStream out = Files.newOutputStream(file)) {
				new JarOutputStream(out, manifest).close();
			}
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	/** Why a script is checked, but not run; null if it runs. */
	@Nullable String notRun(Block block) {
		if (block.hasRemark("not run")) {
			return block.remarks("not run").get(0);
		}
		for (Command command : Command.of(block.text())) {
			String program = command.program().replaceFirst(".*/", "");
			for (String reason : NOT_RUN) {
				if (reason.startsWith(program + ":")) {
					return reason;
				}
			}
			if (program.equals("java") && Commands.model(jar(command)) == null) {
				return "java: starts an application that the tests of its module start";
			}
		}
		return null;
	}

	private static String jar(Command command) {
		int place = command.words().indexOf("-jar");
		return (place < 0) ? "" : command.words().get(place + 1);
	}

	void run(Block block) {
		String script = shortened(block);
		try {
			Path out = Files.createTempFile(this.directory, "script", ".out");
			Path err = Files.createTempFile(this.directory, "script", ".err");
			ProcessBuilder builder = new ProcessBuilder("bash", "-euo", "pipefail", "-c", script)
				.directory(this.directory.toFile())
				.redirectInput(ProcessBuilder.Redirect.from(new File("/dev/null")))
				.redirectOutput(out.toFile())
				.redirectError(err.toFile());
			builder.environment()
				.merge("PATH", System.getProperty("java.home") + "/bin", (path, java) -> java + ":" + path);
			// short-lived virtual machines
			builder.environment().put("JDK_JAVA_OPTIONS", "-Xmx1g -XX:TieredStopAtLevel=1 -XX:+UseSerialGC");
			// and what XLA compiles runs for a step or two
			builder.environment().put("XLA_FLAGS", "--xla_backend_optimization_level=0");
			Process process = builder.start();
			try {
				assertThat(process.waitFor(3, TimeUnit.MINUTES))
					.as("%s: still runs after three minutes: %s", block.where(), script)
					.isTrue();
			}
			finally {
				process.destroyForcibly();
			}
			this.output = Files.readString(out);
			assertThat(process.exitValue())
				.as("%s:%n%s%nsays:%n%s%s", block.where(), script, this.output, Files.readString(err))
				.isZero();
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
		catch (InterruptedException ex) {
			Thread.currentThread().interrupt();
			throw new IllegalStateException(ex);
		}
	}

	/** With the options of the comment. */
	private String shortened(Block block) {
		String script = block.text();
		for (String options : block.remarks("with")) {
			for (String option : options.split(" (?=--)")) {
				String name = option.replaceFirst(" .*", "");
				StringBuilder changed = new StringBuilder();
				Matcher command = Pattern.compile("(\\S+\\.jar)((?:\\\\\\n|[^\\n|;&])*)").matcher(script);
				boolean used = false;
				while (command.find()) {
					String arguments = command.group(2);
					if (knows(command.group(1), arguments, name)) {
						used = true;
						arguments = arguments.replaceFirst(" " + name + "( (?!-)[^\\s\\\\]+)?", "").stripTrailing()
								+ " " + option;
					}
					command.appendReplacement(changed, Matcher.quoteReplacement(command.group(1) + arguments));
				}
				script = command.appendTail(changed).toString();
				assertThat(used).as("%s: no command knows %s", block.where(), option).isTrue();
			}
		}
		return script;
	}

	private static boolean knows(String jar, String arguments, String option) {
		CommandLine model = Commands.model(jar);
		if (model == null) {
			return false;
		}
		for (String word : arguments.strip().split("\\s+")) {
			CommandLine inner = model.getSubcommands().get(word);
			if (inner == null) {
				break;
			}
			model = inner;
		}
		return model.getCommandSpec().findOption(option) != null;
	}

	/**
	 * Compares what a page shows with what the last script has printed: word for word,
	 * but for numbers, and for what an ellipsis stands for.
	 */
	void checkOutput(Block block) {
		List<String> printed = this.output.lines().map(Scripts::withoutNumbers).toList();
		for (String line : block.text().lines().filter((each) -> !each.isBlank()).toList()) {
			Pattern shape = Pattern.compile(Arrays.stream(withoutNumbers(line).split("…", -1))
				.map(Pattern::quote)
				.collect(Collectors.joining(".*")));
			assertThat(printed).as("%s: '%s' is not printed", block.where(), line)
				.anyMatch((each) -> shape.matcher(each).matches());
		}
	}

	private static String withoutNumbers(String line) {
		return line.strip().replaceAll("\\s+", " ").replaceAll("[-+]?\\d+([.,]\\d+)*(e[-+]?\\d+)?", "0");
	}

}

package io.calm.docs;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

import io.calm.cli.CalmCommand;
import io.calm.examples.quickstart.Quickstart;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

/**
 * Checks commands without running them: programs, goals, options, properties, files and
 * versions are there. Every command is checked; which ones also run, {@link Scripts}
 * decides.
 */
final class Commands {

	private static final String SERVE_CLIENTS = "examples/calm-cli/src/test/java/io/calm/cli/ServeClientsTest.java";

	private static final String MLFLOW_SERVER = "calm-mlflow/src/test/java/io/calm/mlflow/MlflowServer.java";

	private static final List<String> PHASES = List.of("clean", "validate", "compile", "test", "package", "verify",
			"install", "deploy");

	private static final List<String> MAVEN_PROPERTIES = List.of("skipTests", "test",
			"surefire.failIfNoSpecifiedTests");

	/** What does not depend on this project. */
	private static final List<String> SHELL = List.of("cd", "ls", "cat", "head", "echo", "mkdir", "cp", "rm", "export",
			"git", "xargs", "zip");

	private final Repository repository;

	private final Settings settings;

	Commands(Repository repository, Settings settings) {
		this.repository = repository;
		this.settings = settings;
	}

	void check(String where, Command command) {
		String program = command.program().replaceFirst(".*/", "");
		switch (program) {
			case "java" -> java(where, command);
			case "mvn" -> maven(where, command.after(1));
			case "curl" -> curl(where, command);
			case "python3", "pip", "mlflow", "lm_eval" -> python(where, command);
			case "docker", "kubectl" -> deployment(where, command);
			case "build" -> assertThat(Repository.ROOT.resolve(command.program())).as(where).isExecutable();
			default -> assertThat(SHELL).as("%s: nobody knows how to check '%s'", where, command).contains(program);
		}
	}

	/** The picocli model behind a jar, if it is one of a command line. */
	static @Nullable CommandLine model(String jar) {
		return switch (jar.replaceFirst(".*/", "")) {
			case "calm.jar" -> new CommandLine(new CalmCommand()).setCaseInsensitiveEnumValuesAllowed(true);
			case "quickstart.jar" -> new CommandLine(new Quickstart());
			default -> null;
		};
	}

	private void java(String where, Command command) {
		int place = command.words().indexOf("-jar");
		assertThat(place).as("%s: java without -jar: %s", where, command).isPositive();
		String jar = command.words().get(place + 1);
		List<String> arguments = command.after(place + 2);
		if (!jar.startsWith("target/")) {
			// else it is the reader's own application
			Optional<String> module = this.repository.moduleOf(jar);
			assertThat(module).as("%s: no module makes %s", where, jar).isPresent();
			assertThat(this.repository.mainClass(module.get())).as("%s: main class of %s", where, jar).isNotEmpty();
		}
		CommandLine model = model(jar);
		if (model != null) {
			options(where, model, arguments);
		}
		else if (arguments.equals(List.of("--help"))) {
			assertThat(this.repository.moduleOf(jar).filter(Commands::hasCommandLine))
				.as("%s: a program that knows --help", where)
				.isPresent();
		}
		else {
			arguments.forEach((argument) -> property(where, argument));
		}
	}

	/** Whether a module's program is read by picocli, whatever the language it is in. */
	private static boolean hasCommandLine(String module) {
		try (Stream<Path> sources = Files.walk(Repository.ROOT.resolve(module).resolve("src/main"))) {
			return sources.filter(Files::isRegularFile)
				.anyMatch((file) -> Repository.text(file).contains("mixinStandardHelpOptions = true"));
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	private static void options(String where, CommandLine model, List<String> arguments) {
		try {
			model.parseArgs(arguments.toArray(String[]::new));
		}
		catch (ParameterException ex) {
			fail("%s: %s", where, ex.getMessage());
		}
	}

	/** {@code --name=value}, as an application of Spring Boot takes it. */
	private void property(String where, String argument) {
		assertThat(argument).as("%s: an argument of the application", where).matches("--[\\w.-]+(=.*)?");
		name(where, argument.substring(2).replaceFirst("=.*", ""));
	}

	void name(String where, String name) {
		assertThat(this.settings.has(name))
			.as("%s: there is no property %s; like it: %s", where, name, this.settings.like(name))
			.isTrue();
	}

	/** In the file of a run, the keys are options of {@code calm train}. */
	static void checkRunKey(String where, String key) {
		CommandLine train = Objects.requireNonNull(new CommandLine(new CalmCommand()).getSubcommands().get("train"));
		assertThat(train.getCommandSpec().optionsMap()).as("%s: options of a run", where).containsKey("--" + key);
	}

	/** In the file of a sweep, they are options of {@code calm sweep}, and three more. */
	static void checkSweep(String where, Map<?, ?> sweep) {
		CommandLine command = Objects.requireNonNull(new CommandLine(new CalmCommand()).getSubcommands().get("sweep"));
		sweep.forEach((key, value) -> {
			if (List.of("run", "parameters").contains(key) && value instanceof Map<?, ?> options) {
				options.keySet().forEach((option) -> checkRunKey(where, option.toString()));
			}
			else if (!key.equals("halving")) {
				assertThat(command.getCommandSpec().optionsMap()).as("%s: options of a sweep", where)
					.containsKey("--" + key);
			}
		});
	}

	private void maven(String where, List<String> arguments) {
		boolean value = false;
		for (String argument : arguments) {
			if (value) {
				assertThat(this.repository.modules()).as("%s: modules", where).contains(argument.split(","));
				value = false;
			}
			else if (argument.equals("-pl")) {
				value = true;
			}
			else if (argument.startsWith("-P")) {
				assertThat(this.repository.inPoms("<profile>\\s*<id>(" + argument.substring(2) + ")</id>"))
					.as("%s: profile %s", where, argument)
					.isPresent();
			}
			else if (argument.startsWith("-D")) {
				mavenProperty(where, argument.substring(2));
			}
			else if (argument.matches("[\\w-]+:[\\w-]+")) {
				String plugin = argument.substring(0, argument.indexOf(':'));
				assertThat(this.repository.inPoms("<artifactId>(" + plugin + "-maven-plugin)</artifactId>"))
					.as("%s: the plugin of %s", where, argument)
					.isPresent();
			}
			else if (argument.startsWith("-")) {
				assertThat(argument).as("%s: an option of mvn", where)
					.isIn("-B", "-q", "-o", "-am", "--no-transfer-progress");
			}
			else {
				assertThat(PHASES).as("%s: a phase of Maven", where).contains(argument);
			}
		}
	}

	private void mavenProperty(String where, String assignment) {
		String name = assignment.replaceFirst("=.*", "");
		if (name.equals("test")) {
			for (String test : assignment.substring("test=".length()).split("[,+]")) {
				assertThat(this.repository.inSources(test.replaceFirst("#.*", "") + ".java"))
					.as("%s: the test %s", where, test)
					.isTrue();
			}
		}
		boolean known = MAVEN_PROPERTIES.contains(name) || this.repository.inSources("\"" + name + "\"")
				|| this.repository.inPoms("(\\$\\{" + Pattern.quote(name) + "})").isPresent();
		assertThat(known).as("%s: nothing reads the property %s", where, name).isTrue();
	}

	/** What is asked must be answered by an endpoint of an application. */
	private void curl(String where, Command command) {
		List<String> paths = command.words()
			.stream()
			.map(Pattern.compile("(?:http://)?localhost:\\d+(/[\\w/.-]*).*")::matcher)
			.filter(Matcher::matches)
			.map((url) -> url.group(1))
			.toList();
		assertThat(paths).as("%s: addresses of a local server in '%s'", where, command).isNotEmpty();
		for (String path : paths) {
			String endpoint = path.startsWith("/actuator/") ? path.split("/")[2] : path;
			assertThat(
					this.repository.inSources("\"" + endpoint + "\"") || List.of("health", "info").contains(endpoint))
				.as("%s: nothing answers %s", where, path)
				.isTrue();
		}
	}

	/** What it installs is what the tests of calm-mlflow and calm-cli run. */
	private void python(String where, Command command) {
		command.words()
			.stream()
			.filter((word) -> word.startsWith("lm-eval[api]=="))
			.forEach((word) -> assertThat(Repository.text(Repository.ROOT.resolve(SERVE_CLIENTS)))
				.as("%s: the version that is tested", where)
				.contains('"' + word + '"'));
		command.words()
			.stream()
			.filter((word) -> word.startsWith("mlflow=="))
			.forEach((word) -> assertThat(word).as("%s: the version that is tested", where)
				.isEqualTo("mlflow==" + testedMlflow()));
	}

	/** The version of the server that the tests run against. */
	static String testedMlflow() {
		return Repository.text(Repository.ROOT.resolve(MLFLOW_SERVER))
			.replaceFirst("(?s).* VERSION = \"(.*?)\".*", "$1");
	}

	private void deployment(String where, Command command) {
		for (int i = 0; i + 1 < command.words().size(); i++) {
			if (List.of("-f", "-k").contains(command.words().get(i))) {
				String file = command.words().get(i + 1);
				assertThat(Files.exists(Repository.ROOT.resolve(file))).as("%s: the file %s", where, file).isTrue();
			}
		}
	}

}

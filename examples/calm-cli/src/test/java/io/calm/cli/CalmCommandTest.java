package io.calm.cli;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

import com.google.gson.JsonParser;
import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

import static org.assertj.core.api.Assertions.assertThat;

class CalmCommandTest {

	private final StringWriter out = new StringWriter();

	private final StringWriter err = new StringWriter();

	private int run(String... args) {
		CommandLine commandLine = CalmCommand.commandLine();
		commandLine.addSubcommand(new Probe());
		commandLine.addSubcommand(new CommandLine(new Group()).addSubcommand("inner", new Probe()));
		return commandLine.setOut(new PrintWriter(this.out, true))
			.setErr(new PrintWriter(this.err, true))
			.execute(args);
	}

	@Test
	void printsForPeople() {
		assertThat(run("probe")).isZero();
		assertThat(this.out.toString().lines()).containsExactly("answer  42");
	}

	@ParameterizedTest
	@ValueSource(strings = { "probe --json", "--json probe", "probe --json --quiet", "group inner --json",
			"--quiet --json group inner" })
	void printsOneJsonObjectAndNothingElse(String line) {
		assertThat(run(line.split(" "))).isZero();
		assertThat(this.out.toString().lines()).hasSize(1);
		assertThat(JsonParser.parseString(this.out.toString())).isEqualTo(JsonParser.parseString("{\"answer\":42}"));
	}

	@Test
	void progressGoesToStandardErrorUnlessQuiet() {
		run("probe", "--json");
		assertThat(this.err.toString()).contains("probing").contains("100%");
		this.err.getBuffer().setLength(0);
		run("probe", "--json", "--quiet");
		assertThat(this.err.toString()).isEmpty();
	}

	@Test
	void badInputIsOneLineAndExitCode2() {
		assertThat(run("probe", "--quiet", "--fail", "input")).isEqualTo(2);
		assertThat(this.out.toString()).isEmpty();
		assertThat(this.err.toString().lines())
			.containsExactly("calm: corpus.txt: the file is empty; give a file with text");
	}

	@Test
	void badInputOfNestedSubcommandToo() {
		assertThat(run("group", "inner", "--quiet", "--fail", "input")).isEqualTo(2);
		assertThat(this.err.toString().lines()).hasSize(1).allMatch((line) -> line.startsWith("calm: corpus.txt"));
	}

	@ParameterizedTest
	@ValueSource(strings = { "probe --no-such-option", "probe --count many", "probe stray", "no-such-command", "",
			"--json", "probe --fail" })
	void wrongArgumentsAreOneLineAndExitCode2(String line) {
		assertThat(run(line.isEmpty() ? new String[0] : line.split(" "))).isEqualTo(2);
		assertThat(this.out.toString()).isEmpty();
		assertThat(this.err.toString().lines()).hasSize(1)
			.allMatch((message) -> message.startsWith("calm: ") && message.contains("--help'"));
	}

	@Test
	void unexpectedFailureIsOneLineAndExitCode1() {
		assertThat(run("probe", "--quiet", "--fail", "state")).isEqualTo(1);
		assertThat(this.err.toString().lines())
			.containsExactly("calm: failed: java.lang.IllegalStateException: two lines");
	}

	@Test
	void anErrorOfTheVirtualMachineIsOneLineToo() {
		assertThat(run("probe", "--quiet", "--fail", "error")).isEqualTo(1);
		assertThat(this.err.toString().lines())
			.containsExactly("calm: failed: java.lang.OutOfMemoryError: Java heap space");
	}

	@Test
	void whatBeginsWithAnAtSignIsNoFile() {
		for (String text : new String[] { "@corpus.txt", "@@ -1 +1 @@", "@" }) {
			this.out.getBuffer().setLength(0);
			assertThat(run("probe", "--json", "--text", text)).isZero();
			assertThat(JsonParser.parseString(this.out.toString()).getAsJsonObject().get("text").getAsString())
				.isEqualTo(text);
		}
	}

	@Test
	void withoutResultsNothingIsPrinted() {
		assertThat(run("probe", "--json", "--quiet", "--fail", "nothing")).isZero();
		assertThat(this.out.toString()).isEmpty();
	}

	/** In a container without a locale Java has question marks where letters were. */
	@Test
	void argumentsThatTheLocaleLosesAreSeen() {
		byte[] arguments = "calm\0generate\0--prompt\0Zürich\0".getBytes(StandardCharsets.UTF_8);
		assertThat(CalmCommand.areLost(arguments, "ANSI_X3.4-1968")).isTrue();
		assertThat(CalmCommand.areLost(arguments, "UTF-8")).isFalse();
		assertThat(CalmCommand.areLost(arguments, "")).isFalse();
		assertThat(CalmCommand.areLost("Why?".getBytes(StandardCharsets.UTF_8), "ANSI_X3.4-1968")).isFalse();
		assertThat(CalmCommand.areLost(new byte[0], "ANSI_X3.4-1968")).isFalse();
	}

	@Test
	void stacktraceOnRequest() {
		assertThat(run("probe", "--quiet", "--stacktrace", "--fail", "state")).isEqualTo(1);
		assertThat(this.err.toString()).startsWith("calm: failed").contains("\tat io.calm.cli");
		this.err.getBuffer().setLength(0);
		assertThat(run("probe", "--nonsense", "--stacktrace")).isEqualTo(2);
		assertThat(this.err.toString()).startsWith("calm: ").contains("\tat picocli");
	}

	@ParameterizedTest
	@ValueSource(strings = { "--help", "probe --help", "group inner --help" })
	void helpEverywhere(String line) {
		assertThat(run(line.split(" "))).isZero();
		assertThat(this.out.toString()).contains("Usage: calm", "--json", "--quiet", "--version")
			.doesNotContain("--stacktrace");
		assertThat(this.err.toString()).isEmpty();
	}

	@Test
	void helpOfSubcommandDescribesIt() {
		run("probe", "--help");
		assertThat(this.out.toString()).contains("Only for tests.").doesNotContain("Train, evaluate");
	}

	@ParameterizedTest
	@ValueSource(strings = { "--version", "probe --version" })
	void version(String line) {
		assertThat(run(line.split(" "))).isZero();
		assertThat(this.out.toString()).startsWith("calm ");
	}

	@Command(name = "group", description = "Holds a subcommand.")
	static final class Group {

	}

	@Command(name = "probe", description = "Only for tests.")
	static final class Probe extends Subcommand {

		@Option(names = "--fail", defaultValue = "no")
		private String fail = "no";

		@Option(names = "--count", defaultValue = "1")
		private int count;

		@Option(names = "--text", defaultValue = "")
		private String text = "";

		@Override
		Report run() {
			try (ProgressBar progress = progress("probing", this.count)) {
				progress.update(this.count, "");
			}
			switch (this.fail) {
				case "input" -> throw new InvalidInputException(Path.of("corpus.txt").toString(), "the file is empty",
						"give a file with text");
				case "state" -> throw new IllegalStateException("two\nlines");
				case "error" -> throw new OutOfMemoryError("Java heap space");
				case "nothing" -> {
					return new Report();
				}
				default -> {
					return this.text.isEmpty() ? new Report().put("answer", 42) : new Report().put("text", this.text);
				}
			}
		}

	}

}

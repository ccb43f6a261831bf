package io.calm.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import io.calm.cluster.LostWorkerException;
import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/**
 * The command {@code calm}: the options that all subcommands share, and what becomes of
 * errors. It ends with 0 when all is well, with 2 and one line on standard error when the
 * user can mend it (arguments, files, prompts: {@link InvalidInputException}), with 3 and
 * one line when another worker of a training has gone and all have to be started again,
 * and with 1 when it is not the user's fault.
 */
@Command(name = "calm", description = "Train, evaluate and use continuous autoregressive language models.",
		synopsisSubcommandLabel = "COMMAND", mixinStandardHelpOptions = true,
		versionProvider = CalmCommand.Version.class, scope = ScopeType.INHERIT,
		subcommands = { PullCommand.class, CorpusCommand.class, TokenizeCommand.class, TrainCommand.class,
				EvaluateCommand.class, CompareCommand.class, GenerateCommand.class, ServeCommand.class,
				InspectCommand.class, EncodeCommand.class, ScoreCommand.class, MergeCommand.class, ExportCommand.class,
				FlopsCommand.class, AblateCommand.class, SweepCommand.class, KnownSourceCommand.class,
				BenchmarkCommand.class, MlflowReplayCommand.class })
public final class CalmCommand {

	private static final String STACKTRACE = "--stacktrace";

	@Option(names = "--json", scope = ScopeType.INHERIT,
			description = "Print the results as one JSON object on standard output.")
	private boolean json;

	@Option(names = "--quiet", scope = ScopeType.INHERIT, description = "Print results and errors only.")
	private boolean quiet;

	@Option(names = STACKTRACE, scope = ScopeType.INHERIT, hidden = true,
			description = "Print where an error came from.")
	private boolean stacktrace;

	/**
	 * Runs a command and ends the virtual machine with its exit code.
	 * @param args the arguments, {@code --help} explains them
	 */
	public static void main(String[] args) {
		CommandLine commandLine = commandLine();
		// UTF-8 in every locale, because programs read it
		commandLine.setOut(new PrintWriter(System.out, true, StandardCharsets.UTF_8))
			.setErr(new PrintWriter(System.err, true, StandardCharsets.UTF_8));
		System.exit(areLost(commandLineBytes(), System.getProperty("sun.jnu.encoding", "")) ? fail(commandLine, 2,
				"arguments: hold characters that the locale does not know, so that they are lost;"
						+ " set LC_ALL=C.UTF-8",
				null) : commandLine.execute(args));
	}

	/** As the operating system has them; Java has question marks in their place. */
	private static byte[] commandLineBytes() {
		try {
			return Files.readAllBytes(Path.of("/proc/self/cmdline"));
		}
		catch (IOException ex) {
			return new byte[0];
		}
	}

	static boolean areLost(byte[] arguments, String encoding) {
		boolean ascii = StandardCharsets.US_ASCII.name().equals(encoding)
				|| StandardCharsets.US_ASCII.aliases().contains(encoding);
		for (byte each : arguments) {
			if (ascii && each < 0) {
				return true;
			}
		}
		return false;
	}

	static CommandLine commandLine() {
		CalmCommand calm = new CalmCommand();
		CommandLine commandLine = new CommandLine(calm).setCaseInsensitiveEnumValuesAllowed(true)
			// a prompt may begin with @
			.setExpandAtFiles(false);
		commandLine.setParameterExceptionHandler((ex, args) -> {
			String hint = "; see '" + ex.getCommandLine().getCommandSpec().qualifiedName() + " --help'";
			return fail(ex.getCommandLine(), 2, ex.getMessage() + hint, List.of(args).contains(STACKTRACE) ? ex : null);
		});
		commandLine.setExecutionExceptionHandler((ex, command, parsed) -> {
			if (ex instanceof InvalidInputException) {
				return fail(command, 2, String.valueOf(ex.getMessage()), calm.stacktrace ? ex : null);
			}
			if (ex instanceof LostWorkerException) {
				return fail(command, 3, String.valueOf(ex.getMessage()), calm.stacktrace ? ex : null);
			}
			return fail(command, 1, "failed: " + ex, calm.stacktrace ? ex : null);
		});
		commandLine.setExecutionStrategy((parsed) -> {
			if (calm.quiet) {
				// before anything logs: slf4j-simple reads it once
				System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "error");
			}
			try {
				return new CommandLine.RunLast().execute(parsed);
			}
			catch (Error ex) {
				return fail(parsed.commandSpec().commandLine(), 1, "failed: " + ex, calm.stacktrace ? ex : null);
			}
		});
		return commandLine;
	}

	private static int fail(CommandLine command, int exitCode, String message, @Nullable Throwable shown) {
		command.getErr().println("calm: " + message.replaceAll("\\s*\\R\\s*", " "));
		if (shown != null) {
			shown.printStackTrace(command.getErr());
		}
		return exitCode;
	}

	/** The options that all subcommands share, as far as they are given. */
	List<String> arguments() {
		List<String> arguments = new ArrayList<>();
		if (this.json) {
			arguments.add("--json");
		}
		if (this.quiet) {
			arguments.add("--quiet");
		}
		if (this.stacktrace) {
			arguments.add(STACKTRACE);
		}
		return arguments;
	}

	boolean json() {
		return this.json;
	}

	boolean quiet() {
		return this.quiet;
	}

	static final class Version implements IVersionProvider {

		@Override
		public String[] getVersion() {
			String version = CalmCommand.class.getPackage().getImplementationVersion();
			return new String[] { "calm " + ((version != null) ? version : "(not packaged)") };
		}

	}

}

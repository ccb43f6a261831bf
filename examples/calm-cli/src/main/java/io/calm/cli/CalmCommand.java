package io.calm.cli;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.util.List;

import io.calm.input.InvalidInputException;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.IVersionProvider;
import picocli.CommandLine.Option;
import picocli.CommandLine.ScopeType;

/**
 * The command {@code calm}: the options that all subcommands share, and what becomes of
 * errors. It ends with 0 when all is well, with 2 and one line on standard error when the
 * user can mend it (arguments, files, prompts: {@link InvalidInputException}), and with 1
 * when it is not the user's fault.
 */
@Command(name = "calm", description = "Train, evaluate and use continuous autoregressive language models.",
		synopsisSubcommandLabel = "COMMAND", mixinStandardHelpOptions = true,
		versionProvider = CalmCommand.Version.class, scope = ScopeType.INHERIT,
		subcommands = { TrainCommand.class, EvaluateCommand.class, GenerateCommand.class, InspectCommand.class,
				FlopsCommand.class, AblateCommand.class, KnownSourceCommand.class, BenchmarkCommand.class,
				MlflowReplayCommand.class })
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
		// UTF-8 in every locale, because programs read it
		int exitCode = commandLine().setOut(new PrintWriter(System.out, true, StandardCharsets.UTF_8))
			.setErr(new PrintWriter(System.err, true, StandardCharsets.UTF_8))
			.execute(args);
		System.exit(exitCode);
	}

	static CommandLine commandLine() {
		CalmCommand calm = new CalmCommand();
		CommandLine commandLine = new CommandLine(calm).setCaseInsensitiveEnumValuesAllowed(true);
		commandLine.setParameterExceptionHandler((ex, args) -> {
			String hint = "; see '" + ex.getCommandLine().getCommandSpec().qualifiedName() + " --help'";
			return fail(ex.getCommandLine(), 2, ex.getMessage() + hint, ex, List.of(args).contains(STACKTRACE));
		});
		commandLine.setExecutionExceptionHandler((ex, command, parsed) -> {
			if (ex instanceof InvalidInputException) {
				return fail(command, 2, String.valueOf(ex.getMessage()), ex, calm.stacktrace);
			}
			return fail(command, 1, "failed: " + ex, ex, calm.stacktrace);
		});
		commandLine.setExecutionStrategy((parsed) -> {
			if (calm.quiet) {
				// before anything logs: slf4j-simple reads it once
				System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "error");
			}
			return new CommandLine.RunLast().execute(parsed);
		});
		return commandLine;
	}

	private static int fail(CommandLine command, int exitCode, String message, Exception ex, boolean stacktrace) {
		command.getErr().println("calm: " + message.replaceAll("\\s*\\R\\s*", " "));
		if (stacktrace) {
			ex.printStackTrace(command.getErr());
		}
		return exitCode;
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

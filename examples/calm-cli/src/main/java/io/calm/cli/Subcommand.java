package io.calm.cli;

import java.io.PrintWriter;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;

import io.calm.input.InvalidInputException;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/**
 * A subcommand of {@code calm}: it does its work and returns what is to be printed.
 */
abstract class Subcommand implements Callable<Integer> {

	@Spec
	@SuppressWarnings("NullAway.Init") // set by picocli
	private CommandSpec spec;

	private int exitCode;

	/**
	 * Does the work. Errors are exceptions; {@link CalmCommand} tells the user.
	 * @return the results; without entries, nothing is printed
	 */
	abstract Report run();

	@Override
	public final Integer call() {
		Report report = run();
		if (!report.isEmpty()) {
			report.print(out(), json());
		}
		return this.exitCode;
	}

	/** Ends with a code of other processes, which have told the user why. */
	void endWith(int exitCode) {
		this.exitCode = exitCode;
	}

	/** Standard output: only for results, and only for those the report cannot hold. */
	PrintWriter out() {
		return this.spec.commandLine().getOut();
	}

	/** Standard error. */
	PrintWriter err() {
		return this.spec.commandLine().getErr();
	}

	/** Tells what the user should know beside the results. */
	void note(String message) {
		err().println("calm: " + message);
	}

	boolean json() {
		return calm().json();
	}

	/** Refuses options that say nothing where another one is given. */
	void refuse(String beside, String... options) {
		for (String option : options) {
			if (hasOption(option)) {
				throw new InvalidInputException(option, "has no meaning with " + beside, "leave one of them out");
			}
		}
	}

	CommandSpec spec() {
		return this.spec;
	}

	boolean hasOption(String option) {
		return this.spec.commandLine().getParseResult().hasMatchedOption(option);
	}

	/** What was given on the command line, one argument for each value. */
	List<String> arguments() {
		// what all commands share may stand before this command
		List<String> arguments = new ArrayList<>(calm().arguments());
		for (OptionSpec option : this.spec.options()) {
			if (option.inherited() || !hasOption(option.longestName())) {
				continue;
			}
			if (option.typeInfo().isBoolean()) {
				arguments.add(option.longestName());
			}
			else {
				option.originalStringValues().forEach((value) -> arguments.add(option.longestName() + "=" + value));
			}
		}
		return arguments;
	}

	/**
	 * Sets options as a file says. What the command line says counts more.
	 * @param file its name
	 * @param inFile its options as arguments, by key
	 */
	void readOptions(String file, Map<String, List<String>> inFile) {
		List<String> arguments = new ArrayList<>(arguments());
		inFile.forEach((key, values) -> {
			if (!hasOption("--" + key)) {
				arguments.addAll(values);
			}
		});
		try {
			reparse(arguments);
		}
		catch (ParameterException ex) {
			throw new InvalidInputException(file, "has a value that does not fit (" + ex.getMessage() + ")",
					"correct it; see '" + this.spec.qualifiedName() + " --help'", ex);
		}
	}

	/** Gives all options their values again, those too that all commands share. */
	private void reparse(List<String> arguments) {
		List<String> all = new ArrayList<>(List.of(this.spec.name()));
		all.addAll(arguments);
		this.spec.root().commandLine().parseArgs(all.toArray(String[]::new));
	}

	ProgressBar progress(String label, long total) {
		return progress(label, total, ProgressBar.Style.ofThisProcess());
	}

	ProgressBar progress(String label, long total, ProgressBar.Style style) {
		return new ProgressBar(this.spec.commandLine().getErr(), calm().quiet() ? ProgressBar.Style.NONE : style,
				InstantSource.system(), label, total);
	}

	/** Not the parent: a subcommand may have subcommands. */
	private CalmCommand calm() {
		return (CalmCommand) this.spec.root().userObject();
	}

}

package io.calm.cli;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

import io.calm.fuzz.Mutator;
import io.calm.fuzz.Target;

/**
 * Gives the command {@code calm} arguments that nobody would type. It ends with 0 or 2,
 * and shows no stack trace.
 */
public final class CommandLines implements Target {

	private static final Pattern STACK_TRACE = Pattern.compile("(?m)^\\s+at [\\w.$]+\\(");

	/**
	 * Valid as they are; MODEL, BASELINE and DIR stand for directories. known-source is
	 * not among them: without its --help it would train for a quarter of an hour.
	 */
	private static final List<String> COMMANDS = List.of(
			"generate MODEL --prompt The --max-new-tokens 5 --seed 3 --temperature 0.5 --candidates 4 --top-k 3 --json",
			"generate MODEL --stop fox --context 20 --max-new-tokens 5 --exact --no-fusion --quiet",
			"generate BASELINE --prompt The --max-new-tokens 5 --temperature 1.5 --top-k 50 --top-p 0.9",
			"generate MODEL --interactive --max-new-tokens 3 --device cpu --precision fp32", "inspect MODEL --json",
			"inspect BASELINE --quiet", "flops --json",
			"evaluate MODEL --corpus DIR/corpus.txt --limit 20 --block 32 --seed 1 --quiet --no-fusion",
			"evaluate BASELINE --corpus DIR/corpus.txt --limit 20 --block 32 --patch-size 2 --json-field text",
			"mlflow-replay --spool DIR/spool --tracking-uri http://joe:pass@localhost:9",
			"train --quiet --no-fusion --tokenizer byte --preset nano --latent-size 8 --autoencoder-size 16"
					+ " --autoencoder-steps 1 --steps 1 --batch 1 --block 16 --patch-size 4 --head flow --solver euler"
					+ " --corpus DIR/corpus.txt --output DIR/out --seed 1 --learning-rate 0.001",
			"train --quiet --no-fusion --tokenizer bpe:270 --preset nano --baseline --steps 1 --batch 1 --block 16"
					+ " --corpus DIR/corpus.txt --output DIR/out --document-start ^The --checkpoint-every 1",
			"train --quiet --no-fusion --base MODEL --autoencoder-steps 0 --steps 1 --batch 1 --block 16 --sample The"
					+ " --corpus DIR/corpus.txt --output DIR/out --evaluation-corpus DIR/corpus.txt --patience 1",
			"benchmark energy-step --runs 1 --layers 1 --hidden-size 16 --heads 2 --vocab 64 --block 16 --no-fusion",
			"ablate --help", "--version");

	private static final List<String> VALUES = List.of("", " ", "-1", "0", "1", "-0.0", "0.5", "1e999", "NaN",
			"2147483647", "-2147483648", "99999999999999999999", "0x10", "null", "--", "-", "--json", "--help", "-x",
			"@file", "@@", "/dev/null", "/dev/zero", "/", ".", "..", "DIR", "MODEL", "BASELINE", "DIR/corpus.txt",
			"DIR/missing", "%s%n%d", "${x}", "a\nb", "\u001b[31m", "世界", "\uD83E\uDD16", "x".repeat(5000), "[",
			"(a+)+$", "http://", "http://a b", "ftp://x", "http://joe:s3cret@", "bpe:-1", "bpe:99999999999", "bpe:",
			"models:/x");

	/** Whatever makes a command work for longer: great numbers are no fault there. */
	private static final Pattern WORK = Pattern
		.compile("--(.*steps|runs|layers|hidden-size|heads|vocab|batch|block|.*size|samples|targets|.*every|patience)");

	private final Path inputs;

	/**
	 * Of models that there are.
	 * @param inputs holds {@code model} and {@code baseline}
	 */
	public CommandLines(Path inputs) {
		this.inputs = inputs;
	}

	/** Runs a command, as {@code main} does, and returns its exit code. */
	public static int run(StringWriter out, StringWriter err, String... arguments) {
		return CalmCommand.commandLine()
			.setOut(new PrintWriter(out, true))
			.setErr(new PrintWriter(err, true))
			.execute(arguments);
	}

	@Override
	public boolean run(Mutator mutator, Path directory) throws IOException {
		Files.writeString(directory.resolve("corpus.txt"), "The quick brown fox jumps over the lazy dog. ".repeat(9));
		Files.createDirectory(directory.resolve("spool"));
		System.setIn(new ByteArrayInputStream("The\n\u0000\n".getBytes()));
		List<String> arguments = arguments(mutator);
		arguments.replaceAll((each) -> each.replace("DIR", directory.toString())
			.replace("MODEL", this.inputs.resolve("model").toString())
			.replace("BASELINE", this.inputs.resolve("baseline").toString()));
		StringWriter out = new StringWriter();
		StringWriter err = new StringWriter();
		int code = run(out, err, arguments.toArray(String[]::new));
		if ((code != 0 && code != 2) || STACK_TRACE.matcher(out.toString() + err).find()) {
			throw new IllegalStateException("ends with " + code + ": " + err + " after " + arguments);
		}
		if (code == 2 && err.toString().lines().filter((line) -> line.startsWith("calm: ")).count() != 1) {
			throw new IllegalStateException("does not say why in one line: " + err + " after " + arguments);
		}
		return code == 0;
	}

	private static List<String> arguments(Mutator mutator) {
		List<String> arguments = new ArrayList<>(List.of(mutator.pick(COMMANDS).split(" ")));
		for (int changes = 1 + mutator.number(2); changes > 0; changes--) {
			int at = mutator.number(arguments.size());
			switch (mutator.number(8)) {
				case 0 -> arguments.remove(at);
				case 1 -> arguments.add(at, arguments.get(at));
				case 2 -> arguments.add(at, value(mutator, at, arguments));
				case 3 -> arguments.add(mutator.pick(List.of(mutator.pick(COMMANDS).split(" "))));
				default -> arguments.set(at, value(mutator, at, arguments));
			}
			if (arguments.isEmpty()) {
				break;
			}
		}
		return arguments;
	}

	private static String value(Mutator mutator, int at, List<String> arguments) {
		String value = mutator.pick(VALUES);
		boolean work = at > 0 && WORK.matcher(arguments.get(at - 1)).matches();
		return (work && value.equals("2147483647")) ? "2" : value;
	}

}

package io.calm.cli;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Scanner;

import io.calm.generation.GenerationEngine;
import io.calm.generation.GenerationStream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Continues a prompt. */
@Command(name = "generate", description = "Continue a prompt, patch by patch, or token by token with a baseline.")
final class GenerateCommand extends Subcommand {

	@Parameters(paramLabel = "DIR", description = "The model directory.")
	private Path directory = Path.of("model");

	@Option(names = "--prompt", defaultValue = "", description = "The beginning of the text (default: none).")
	private String prompt = "";

	@Option(names = "--max-new-tokens", defaultValue = "128",
			description = "Maximum number of new tokens (default: ${DEFAULT-VALUE}).")
	private int maxNewTokens;

	@Option(names = "--context", defaultValue = "512",
			description = "Maximum length of prompt and text together, in patches, or in tokens for a baseline "
					+ "(default: ${DEFAULT-VALUE}).")
	private int context;

	@Option(names = "--stop", paramLabel = "TEXT",
			description = "String that ends the text. May be given several times (default: none).")
	private String[] stop = {};

	@Option(names = "--interactive", description = "Keep the model loaded and continue every line of standard input.")
	private boolean interactive;

	@Option(names = "--seed", defaultValue = "1", description = "Seed of the draws (default: ${DEFAULT-VALUE}).")
	private long seed;

	@Mixin
	private ComputeOptions compute = new ComputeOptions();

	@Mixin
	private SamplingOptions sampling = new SamplingOptions();

	@Override
	Report run() {
		try (GenerationEngine engine = GenerationEngine.open(this.directory,
				(options) -> options.slots(1).context(this.context).program(this.compute.generation()))) {
			if (!this.interactive) {
				String text = generate(engine, this.prompt);
				return json() ? new Report().put("prompt", this.prompt).put("text", text) : new Report();
			}
			Scanner lines = new Scanner(System.in, StandardCharsets.UTF_8);
			while (lines.hasNextLine()) {
				String line = lines.nextLine();
				String text = generate(engine, line);
				if (json()) {
					new Report().put("prompt", line).put("text", text).print(out(), true);
				}
			}
			return new Report();
		}
	}

	/** Shows the text as it grows, unless it is to be part of a report. */
	private String generate(GenerationEngine engine, String beginning) {
		StringBuilder text = new StringBuilder();
		PrintWriter out = out();
		GenerationStream stream = engine.generate(beginning,
				(request) -> this.sampling.applyTo(request)
					.maxNewTokens(this.maxNewTokens)
					.seed(this.seed)
					.stop(this.stop));
		stream.forEach((chunk) -> {
			text.append(chunk.text());
			if (!json()) {
				out.print(chunk.text());
				out.flush();
			}
		});
		if (!json()) {
			out.println();
		}
		if (stream.approximatePatches() > 0) {
			note("patches for which the draws did not suffice for exact sampling, and which batch sampling chose among"
					+ " them: " + stream.approximatePatches() + "; raise the temperature");
		}
		return text.toString();
	}

}

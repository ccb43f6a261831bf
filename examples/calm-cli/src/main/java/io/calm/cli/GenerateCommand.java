package io.calm.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.stream.Stream;

import io.calm.generation.Chunk;
import io.calm.generation.Generator;
import io.calm.input.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Continues a prompt. */
@Command(name = "generate", description = "Continue a prompt, patch by patch.")
final class GenerateCommand extends Subcommand {

	@Parameters(paramLabel = "DIR", description = "The model directory.")
	private Path directory = Path.of("model");

	@Option(names = "--prompt", defaultValue = "", description = "The beginning of the text (default: none).")
	private String prompt = "";

	@Option(names = "--max-new-tokens", defaultValue = "128", description = "The most (default: ${DEFAULT-VALUE}).")
	private int maxNewTokens;

	@Option(names = "--context", defaultValue = "512",
			description = "Patches of prompt and text together (default: ${DEFAULT-VALUE}).")
	private int context;

	@Option(names = "--temperature", defaultValue = "1",
			description = "1: other temperatures need samplers that are not built yet.")
	private double temperature;

	@Option(names = "--seed", defaultValue = "1", description = "Of the draws (default: ${DEFAULT-VALUE}).")
	private long seed;

	@Mixin
	private ComputeOptions compute = new ComputeOptions();

	@Override
	Report run() {
		if (this.temperature != 1) {
			throw new InvalidInputException("--temperature", "is " + this.temperature + ", and only 1 is available yet",
					"leave the option out");
		}
		StringBuilder text = new StringBuilder();
		try (Generator generator = Generator.open(this.directory, this.context, this.compute.inference());
				Stream<Chunk> chunks = generator.generate(this.prompt, this.maxNewTokens, this.seed)) {
			PrintWriter out = out();
			chunks.forEach((chunk) -> {
				text.append(chunk.text());
				if (!json()) {
					out.print(chunk.text());
					out.flush();
				}
			});
			if (!json()) {
				out.println();
				return new Report();
			}
		}
		return new Report().put("prompt", this.prompt).put("text", text.toString());
	}

}

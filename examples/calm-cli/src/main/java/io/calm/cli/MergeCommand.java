package io.calm.cli;

import java.nio.file.Path;

import io.calm.Calm;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Makes a model of an adapter and its base. */
@Command(name = "merge",
		description = "Merge a low-rank adapter (LoRA), from 'calm train --lora-rank' or PEFT, and its base into a "
				+ "model that needs neither.")
final class MergeCommand extends Subcommand {

	@Parameters(paramLabel = "DIR", description = "The directory of the adapter.")
	private Path directory = Path.of("adapter");

	@Option(names = "--output", required = true, paramLabel = "DIR",
			description = "The model directory to write, in fp32. Must not exist yet.")
	private Path output = Path.of("model");

	@Override
	Report run() {
		Calm.merge(this.directory, this.output);
		return new Report().put("output", this.output.toString());
	}

}

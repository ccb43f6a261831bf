package io.calm.cli;

import java.nio.file.Path;

import io.calm.export.SavedModelExport;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Writes a model in another format. */
@Command(name = "export",
		description = "Write a model as a SavedModel, TensorFlow's own format, which other languages can open.")
final class ExportCommand extends Subcommand {

	@Parameters(paramLabel = "DIR", description = "The model directory.")
	private Path directory = Path.of("model");

	@Option(names = "--saved-model", required = true, paramLabel = "DIR",
			description = "The directory for the SavedModel. Must be empty or not exist yet.")
	private Path savedModel = Path.of("saved-model");

	@Override
	Report run() {
		return new Report().put("signatures",
				String.join(", ", SavedModelExport.write(this.directory, this.savedModel)));
	}

}

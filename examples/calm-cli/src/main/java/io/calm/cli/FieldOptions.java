package io.calm.cli;

import java.nio.file.Path;
import java.util.List;

import io.calm.text.Corpus;
import picocli.CommandLine.Option;

/** Where files of rows have their text. */
final class FieldOptions {

	@Option(names = "--json-field", defaultValue = "text",
			description = "Field of .jsonl that holds the text (default: ${DEFAULT-VALUE}).")
	private String jsonField = "text";

	@Option(names = "--parquet-column", defaultValue = "text",
			description = "Column of .parquet that holds the text (default: ${DEFAULT-VALUE}).")
	private String parquetColumn = "text";

	/** Reads these files. */
	Corpus.Builder applyTo(Corpus.Builder options, List<Path> paths) {
		return options.paths(paths.toArray(Path[]::new)).jsonField(this.jsonField).parquetColumn(this.parquetColumn);
	}

}

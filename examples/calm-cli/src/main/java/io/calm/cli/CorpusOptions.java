package io.calm.cli;

import java.nio.file.Path;
import java.util.List;

import io.calm.text.Corpus;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which text a command reads, and how it is divided into documents. */
final class CorpusOptions {

	@Option(names = "--corpus", required = true, arity = "1..*", paramLabel = "PATH",
			description = "Text: .txt, .jsonl, both also as .gz or .zst, .parquet, or directories of them.")
	private List<Path> corpus = List.of();

	@Option(names = "--json-field", defaultValue = "text",
			description = "Field of .jsonl that holds the text (default: ${DEFAULT-VALUE}).")
	private String jsonField = "text";

	@Option(names = "--parquet-column", defaultValue = "text",
			description = "Column of .parquet that holds the text (default: ${DEFAULT-VALUE}).")
	private String parquetColumn = "text";

	@Option(names = "--document-start", paramLabel = "REGEX",
			description = "Regular expression for the first line of each document in .txt (default: a file is one "
					+ "document).")
	private @Nullable String documentStart;

	Corpus text() {
		return Corpus.of((options) -> {
			options.paths(this.corpus).jsonField(this.jsonField).parquetColumn(this.parquetColumn);
			if (this.documentStart != null) {
				options.documentStart(this.documentStart);
			}
		});
	}

}

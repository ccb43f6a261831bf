package io.calm.cli;

import java.nio.file.Path;
import java.util.List;

import io.calm.text.Corpus;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which text a command reads, and how it is divided into documents. */
final class CorpusOptions {

	@Option(names = "--corpus", required = true, arity = "1..*", paramLabel = "PATH",
			description = "Text: .txt, .jsonl, both also as .gz or .zst, .parquet, or directories of them.")
	private List<Path> corpus = List.of();

	@Mixin
	private FieldOptions fields = new FieldOptions();

	@Option(names = "--document-start", paramLabel = "REGEX",
			description = "Regular expression for the first line of each document in .txt (default: a file is one "
					+ "document).")
	private @Nullable String documentStart;

	Corpus text() {
		return Corpus.of((options) -> {
			this.fields.applyTo(options, this.corpus);
			if (this.documentStart != null) {
				options.documentStart(this.documentStart);
			}
		});
	}

}

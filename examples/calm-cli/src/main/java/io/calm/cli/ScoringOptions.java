package io.calm.cli;

import java.nio.file.Path;
import java.util.List;

import io.calm.text.Corpus;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Which text models are scored on, and how. */
final class ScoringOptions {

	@Option(names = "--corpus", required = true, arity = "1..*", paramLabel = "PATH",
			description = "Text: .txt, .jsonl, both also as .gz or .zst, .parquet, or directories of them.")
	private List<Path> corpus = List.of();

	@Mixin
	private FieldOptions fields = new FieldOptions();

	@Option(names = "--block", defaultValue = "512",
			description = "Tokens per block. The score depends on it (default: ${DEFAULT-VALUE}).")
	private int block;

	@Option(names = "--limit", defaultValue = "0", description = "Maximum number of positions to score (default: all).")
	private long limit;

	@Option(names = "--seed", defaultValue = "1", description = "Seed of the draws (default: ${DEFAULT-VALUE}).")
	private long seed;

	List<Path> corpus() {
		return this.corpus;
	}

	Corpus text(List<Path> paths) {
		return Corpus.of((options) -> this.fields.applyTo(options, paths));
	}

	/** Tokens of a block. */
	int block() {
		return this.block;
	}

	/** Patches of a block. */
	int patches(int patchSize) {
		return Math.max(2, this.block / Math.max(1, patchSize));
	}

	long limit() {
		return this.limit;
	}

	long seed() {
		return this.seed;
	}

}

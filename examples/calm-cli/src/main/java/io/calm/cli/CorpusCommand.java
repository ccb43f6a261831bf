package io.calm.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

import io.calm.input.InvalidInputException;
import io.calm.text.Corpus;
import io.calm.text.CorpusSurvey;
import io.calm.text.TokenBlocks;
import io.calm.text.TokenStore;
import io.calm.text.Tokenizer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Looks at a text before anyone trains on it. */
@Command(name = "corpus",
		description = "Inspect a text before training on it: documents and their lengths, duplicates, the longest "
				+ "lines, and where something cannot be read, such as bytes that are not UTF-8. With --tokenizer, also "
				+ "tokens and the share of PAD.")
final class CorpusCommand extends Subcommand {

	@Mixin
	private CorpusOptions corpus = new CorpusOptions();

	@Mixin
	private TokenizerOption tokenizer = new TokenizerOption();

	@Option(names = "--patch-size", defaultValue = "4",
			description = "K, tokens per patch, for the share of PAD (default: ${DEFAULT-VALUE}).")
	private int patchSize;

	@Option(names = "--picture", paramLabel = "FILE",
			description = "Draw a histogram of the lengths of documents, as PNG.")
	private @Nullable Path picture;

	@Override
	Report run() {
		if (!this.tokenizer.isNamed()) {
			refuse("a text without --tokenizer", "--patch-size");
		}
		if (this.patchSize < 1) {
			throw new InvalidInputException("--patch-size", "is " + this.patchSize, "choose 1 or more");
		}
		Corpus text = this.corpus.text();
		CorpusSurvey survey = survey(text);
		Report report = new Report().put("files", survey.files())
			.put("bytes", survey.bytes())
			.put("documents", survey.lengths().length)
			.put("duplicates", survey.duplicates())
			.put("characters", Arrays.stream(survey.lengths()).sum())
			.put("documentCharacters", spread(survey.lengths()));
		long[] lengths = survey.lengths();
		String unit = "characters";
		if (this.tokenizer.isNamed() && survey.faultCount() == 0) {
			lengths = tokens(report, text);
			unit = "tokens";
		}
		report.put("longestLines", places(survey.longestLines()))
			.put("faultCount", survey.faultCount())
			.put("faults", lines(survey.faults()));
		if (this.tokenizer.isNamed() && survey.faultCount() > 0) {
			note("tokens are counted when everything can be read");
		}
		if (this.picture != null && lengths.length > 0) {
			write(this.picture, LengthPicture.of(lengths, unit));
		}
		return report;
	}

	private CorpusSurvey survey(Corpus text) {
		try (ProgressBar bar = progress("survey of MB", Math.max(1, text.bytes() / 1_000_000))) {
			return CorpusSurvey.of(text, (bytes, ofBytes) -> bar.update(bytes / 1_000_000, ""));
		}
	}

	/** The lengths of the documents in tokens. */
	private long[] tokens(Report report, Corpus text) {
		try (Tokenizer tokens = this.tokenizer.tokenizer(text, "a model directory", null);
				TokenizingProgress progress = new TokenizingProgress(this);
				TokenStore store = TokenStore.of(text, tokens, progress)) {
			long[] lengths = new long[store.documents()];
			Arrays.setAll(lengths, store::length);
			report.put("tokens", store.tokens())
				.put("documentTokens", spread(lengths))
				.put("patchSize", this.patchSize)
				.put("padShare", TokenBlocks.padShare(store, this.patchSize));
			return lengths;
		}
	}

	private static Report spread(long[] lengths) {
		long[] sorted = lengths.clone();
		Arrays.sort(sorted);
		Report spread = new Report();
		if (sorted.length > 0) {
			spread.put("shortest", sorted[0])
				.put("median", sorted[sorted.length / 2])
				.put("ninetyPercent", sorted[(int) (0.9 * (sorted.length - 1))])
				.put("longest", sorted[sorted.length - 1]);
		}
		return spread;
	}

	private static Report places(List<CorpusSurvey.Line> lines) {
		Report places = new Report();
		for (int i = 0; i < lines.size(); i++) {
			CorpusSurvey.Line line = lines.get(i);
			places.put(String.valueOf(i + 1), line.bytes() + " bytes: " + line.file() + ", line " + line.number());
		}
		return places;
	}

	private static Report lines(List<String> texts) {
		Report lines = new Report();
		for (int i = 0; i < texts.size(); i++) {
			lines.put(String.valueOf(i + 1), texts.get(i));
		}
		return lines;
	}

	private static void write(Path file, byte[] content) {
		try {
			Files.write(file, content);
		}
		catch (IOException ex) {
			throw new InvalidInputException(file.toString(), "cannot be written (" + ex + ")",
					"check the free space and the permissions there", ex);
		}
	}

}

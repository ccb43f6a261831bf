package io.calm.cli;

import java.nio.file.Path;

import io.calm.input.InvalidInputException;
import io.calm.text.ByteTokenizer;
import io.calm.text.Corpus;
import io.calm.text.TokenCache;
import io.calm.text.Tokenizer;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How text becomes tokens, for the commands that train. */
final class TokenizerOption {

	private static final String LEARNED = "bpe:";

	@Option(names = "--tokenizer", paramLabel = "FILE|bpe:N|byte",
			description = "A tokenizer.json; 'bpe:4096' to learn 4096 tokens from the corpus; or 'byte' for one token "
					+ "per byte.")
	private @Nullable String named;

	boolean isNamed() {
		return this.named != null;
	}

	/**
	 * The tokenizer that was named.
	 * @param text a tokenizer is learned from
	 * @param otherwise what one can do in place of naming a tokenizer
	 * @param kept where one is kept that is learned; null for nowhere
	 * @return the tokenizer, to be closed
	 * @throws InvalidInputException if none is named, or there is none of that name
	 */
	Tokenizer tokenizer(Corpus text, String otherwise, @Nullable TokenCache kept) {
		String named = this.named;
		if (named == null) {
			throw new InvalidInputException("--tokenizer", "is missing",
					"name a tokenizer.json, bpe:4096 or byte, or " + otherwise);
		}
		if ("byte".equals(named)) {
			return new ByteTokenizer();
		}
		if (!named.startsWith(LEARNED)) {
			return Tokenizer.load(Path.of(named));
		}
		try {
			int size = Integer.parseInt(named.substring(LEARNED.length()));
			return (kept != null) ? kept.tokenizer(text, size) : Tokenizer.train(text, size);
		}
		catch (NumberFormatException ex) {
			throw new InvalidInputException("--tokenizer " + named, "names no number of tokens",
					"write, for example, --tokenizer bpe:4096", ex);
		}
	}

}

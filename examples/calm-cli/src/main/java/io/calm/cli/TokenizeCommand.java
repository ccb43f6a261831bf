package io.calm.cli;

import java.nio.file.Path;

import io.calm.text.Corpus;
import io.calm.text.TokenCache;
import io.calm.text.TokenStore;
import io.calm.text.Tokenizer;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Makes the tokens of a training before it starts. */
@Command(name = "tokenize",
		description = "Make tokens of a text and keep them, so that trainings on it start at once: those whose --tokens "
				+ "is the same directory. A text whose tokens are kept already is only checked.")
final class TokenizeCommand extends Subcommand {

	@Option(names = "--output", required = true, paramLabel = "DIR",
			description = "The directory to keep them in. A training looks for it beside its --output, under the name "
					+ "tokens.")
	private Path output = Path.of("");

	@Mixin
	private CorpusOptions corpus = new CorpusOptions();

	@Mixin
	private TokenizerOption tokenizer = new TokenizerOption();

	@Override
	Report run() {
		Corpus text = this.corpus.text();
		TokenCache cache = TokenCache.in(this.output);
		try (Tokenizer tokens = this.tokenizer.tokenizer(text, "a model directory", cache);
				TokenizingProgress progress = new TokenizingProgress(this)) {
			long start = System.nanoTime();
			try (TokenStore store = cache.get(text, tokens, progress)) {
				double seconds = (System.nanoTime() - start) / 1e9;
				return new Report().put("documents", store.documents())
					.put("tokens", store.tokens())
					.put("digest", store.digest())
					.put("made", progress.any())
					.put("seconds", seconds)
					.put("tokensPerSecond", store.tokens() / seconds);
			}
		}
	}

}

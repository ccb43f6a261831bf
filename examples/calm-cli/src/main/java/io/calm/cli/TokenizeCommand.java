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
		description = "Tokenize a text and keep the tokens, so that trainings with the same directory as --tokens "
				+ "start at once. A text that was tokenized before is only checked.")
final class TokenizeCommand extends Subcommand {

	@Option(names = "--output", required = true, paramLabel = "DIR",
			description = "The directory to keep the tokens in. By default, a training looks for a directory named "
					+ "tokens next to its --output.")
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

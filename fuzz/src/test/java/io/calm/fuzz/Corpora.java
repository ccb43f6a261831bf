package io.calm.fuzz;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPOutputStream;

import io.calm.text.Corpus;
import io.calm.text.TokenStore;
import io.calm.text.Tokenizer;

/** Reads texts, plain and packed, and makes tokens of them. */
final class Corpora implements Target {

	private static final String LINES = """
			{"text":"One day, a bear"}
			{"id":7,"text":"Grüße, 世界 \\u00e9 \\ud83e\\udd16","meta":{"a":[1,2,{"b":null}]}}

			{"text":"","source":"x"}
			{"text":"The lobster is a species\\nof lobster."}
			""";

	private static final String TEXT = " = Lobster = \nThe lobster, one of 世界.\r\n\n = Bear = \nA bear \uD83E\uDD16.\n";

	private final Tokenizer tokenizer;

	Corpora(Path tokenizer) {
		this.tokenizer = Tokenizer.load(tokenizer);
	}

	@Override
	public boolean run(Mutator mutator, Path directory) throws IOException {
		for (int files = 1 + mutator.number(3); files > 0; files--) {
			boolean lines = mutator.percent(60);
			byte[] content = (lines ? lines(mutator) : TEXT.repeat(1 + mutator.number(50)))
				.getBytes(StandardCharsets.UTF_8);
			if (mutator.percent(70)) {
				content = mutator.blind(content);
			}
			boolean packed = mutator.percent(40);
			if (packed) {
				content = mutator.percent(50) ? mutator.blind(packed(content)) : packed(content);
			}
			Files.write(directory.resolve("part" + files + (lines ? ".jsonl" : ".txt") + (packed ? ".gz" : "")),
					content);
		}
		Corpus corpus = Corpus.of((options) -> {
			options.paths(directory);
			if (mutator.percent(20)) {
				options.jsonField(mutator.pick(List.of("id", "meta", "", "\u0000")));
			}
			if (mutator.percent(30)) {
				options.documentStart(mutator.pick(List.of(" = [^=].* = ", "", "[", "(?s).*")));
			}
		});
		try (TokenStore store = TokenStore.of(corpus, this.tokenizer)) {
			store.read(0, 0, new int[1], 0, 1);
			return true;
		}
	}

	private static String lines(Mutator mutator) {
		StringBuilder all = new StringBuilder();
		for (String line : LINES.repeat(1 + mutator.number(20)).lines().toList()) {
			all.append((!line.isEmpty() && mutator.percent(3))
					? new String(mutator.json(line.getBytes(StandardCharsets.UTF_8)), StandardCharsets.UTF_8) : line);
			all.append(mutator.percent(99) ? "\n" : "");
		}
		return all.toString();
	}

	private static byte[] packed(byte[] content) throws IOException {
		ByteArrayOutputStream packed = new ByteArrayOutputStream();
		try (GZIPOutputStream out = new GZIPOutputStream(packed)) {
			out.write(content);
		}
		return packed.toByteArray();
	}

}

package io.calm.generation;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Objects;
import java.util.stream.IntStream;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.model.CalmConfig;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import io.calm.text.Corpus;
import io.calm.text.TokenBlocks;
import io.calm.text.TokenStore;
import io.calm.text.Tokenizer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;

/** Where a prompt ends and the model's text begins. */
class PromptTest {

	private static final CalmConfig CONFIG = TinyModel.calm().build(TinyModel.autoencoder().build());

	private static Path bytePairs() {
		try {
			return Path.of(Objects.requireNonNull(PromptTest.class.getResource("/tokenizer-4k")).toURI());
		}
		catch (URISyntaxException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/** A space would be one token with the next word; a lone newline would not. */
	@Test
	void whiteSpaceThatBelongsToTheNextWordIsLeftToTheContinuation() {
		try (Tokenizer tokenizer = Tokenizer.load(bytePairs())) {
			assertPrompt(tokenizer, "One day,", "One day,", "");
			assertPrompt(tokenizer, "One day, ", "One day,", " ");
			assertPrompt(tokenizer, "One day,  ", "One day, ", " ");
			assertPrompt(tokenizer, "One day.\n", "One day.\n", "");
			assertPrompt(tokenizer, "One day.\n\n", "One day.\n\n", "");
			assertPrompt(tokenizer, " ", "", " ");
			assertPrompt(tokenizer, "", "", "");
		}
	}

	@Test
	void bytesJoinNothing() {
		for (String text : new String[] { "One day, ", " ", "a \n\n", "a\t" }) {
			assertPrompt(new ByteTokenizer(), text, text, "");
		}
	}

	@Test
	void aSpaceThatIsNoTokenIsLeftToTheContinuation(@TempDir Path directory) throws IOException {
		try (Tokenizer tokenizer = words(directory)) {
			assertPrompt(tokenizer, "one two ", "one two", " ");
			assertPrompt(tokenizer, "one two \n ", "one two", " \n ");
			assertPrompt(tokenizer, " ", "", " ");
		}
	}

	/** What a training has seen before an answer is what generation shows the model. */
	@ParameterizedTest
	@ValueSource(ints = { 1, 2, 3, 4 })
	void trainingAndGenerationDivideAPromptAlike(int patchSize, @TempDir Path directory) throws IOException {
		CalmConfig config = TinyModel.calm().build(TinyModel.autoencoder().patchSize(patchSize).build());
		String[] prompts = { "One day,", "One day, ", "What is it?\n", "A", " ", "Two  spaces  " };
		StringBuilder lines = new StringBuilder();
		for (String prompt : prompts) {
			lines.append(
					"{\"prompt\": \"%s\", \"completion\": \"the answer\"}%n".formatted(prompt.replace("\n", "\\n")));
		}
		Path file = Files.writeString(directory.resolve("prompts.jsonl"), lines);
		try (Tokenizer tokenizer = Tokenizer.load(bytePairs());
				TokenStore data = TokenStore.of(Corpus.of(file), tokenizer)) {
			TokenBlocks blocks = TokenBlocks.sequential(data, patchSize, 32, tokenizer.padId());
			int[] tokens = blocks.batch((int) blocks.blocks(), 0).tokens();
			int[] sources = blocks.batch((int) blocks.blocks(), 0).sources();
			for (int i = 0; i < prompts.length; i++) {
				int document = i;
				int first = IntStream.range(0, sources.length)
					.filter((patch) -> sources[patch] == document)
					.findFirst()
					.orElseThrow();
				Prompt prompt = Prompt.of(prompts[i], tokenizer, config, true);
				int end = first * patchSize + prompt.patches().length;
				assertThat(Arrays.copyOfRange(tokens, first * patchSize, end)).as(prompts[i])
					.containsExactly(prompt.patches());
				// the answer follows, with the white space that generation leaves to it
				int length = Math.toIntExact(data.length(i) - data.given(i));
				assertThat(tokenizer.decode(Arrays.copyOfRange(tokens, end, end + length - 1)))
					.isEqualTo(prompt.space() + "the answer");
				assertThat(tokens[end + length - 1]).isEqualTo(tokenizer.eosId());
			}
		}
	}

	/** With PADs before the prompt, or with its end in a patch that is completed. */
	@ParameterizedTest
	@ValueSource(booleans = { true, false })
	void aSpaceAtTheEndOfThePromptMakesNoDifference(boolean leftPadded, @TempDir Path directory) throws IOException {
		Path model = directory.resolve("model");
		int vocabulary = 4096;
		AutoencoderConfig autoencoder = AutoencoderConfig.builder(vocabulary)
			.hiddenSize(16)
			.intermediateSize(32)
			.latentSize(8)
			.build();
		TinyModel.write(model, autoencoder, 0.25f, 0);
		Path config = model.resolve("config.json");
		Files.writeString(config,
				Files.readString(config).replace("\"left_padded\": true", "\"left_padded\": " + leftPadded));
		try (Tokenizer tokenizer = Tokenizer.load(bytePairs())) {
			tokenizer.save(model);
			assertThat(Prompt.of("One day, ", tokenizer, CONFIG, leftPadded).open().length > 0).isEqualTo(!leftPadded);
		}
		// an open patch takes thousands of draws
		assertSeam(model, leftPadded ? 40 : 6);
	}

	@Test
	void aSpaceAtTheEndOfABaselinesPromptMakesNoDifference(@TempDir Path directory) {
		TinyModel.write(directory.resolve("model"), TinyModel.baseline(4096, 0), 0);
		try (Tokenizer tokenizer = Tokenizer.load(bytePairs())) {
			tokenizer.save(directory.resolve("model"));
		}
		assertSeam(directory.resolve("model"), 40);
	}

	private static void assertSeam(Path model, int seeds) {
		int spaces = 0;
		try (GenerationEngine engine = GenerationEngine.open(model,
				(options) -> options.slots(1).program(TinyModel.PROGRAM))) {
			for (long seed = 0; seed < seeds; seed++) {
				String plain = text(engine, "One day,", seed);
				String spaced = text(engine, "One day, ", seed);
				spaces += plain.startsWith(" ") ? 1 : 0;
				assertThat("One day, " + spaced)
					.isEqualTo(plain.startsWith(" ") ? "One day," + plain : "One day, " + plain);
				String stop = (spaced.length() > 4) ? spaced.substring(2, 4) : spaced;
				assertThat(text(engine, "One day, ", seed, stop)).as("stopped before " + stop)
					.isEqualTo(spaced.substring(0, spaced.indexOf(stop)));
			}
		}
		if (seeds == 40) {
			assertThat(spaces).as("texts that begin with a space").isBetween(1, 39);
		}
	}

	private static String text(GenerationEngine engine, String prompt, long seed, String... stop) {
		return engine.generate(prompt, (request) -> request.maxNewTokens(10).seed(seed).stop(stop)).text();
	}

	@Test
	void promptAndContinuationAreTheDecodedWhole(@TempDir Path directory) throws IOException {
		Path model = directory.resolve("model");
		TinyModel.write(model, TinyModel.baseline(7, 3), 0);
		Files.writeString(model.resolve("config.json"),
				Files.readString(model.resolve("config.json"))
					.replace("\"bos_token_id\": 4", "\"bos_token_id\": 1")
					.replace("\"eos_token_id\": 5", "\"eos_token_id\": 2"));
		try (Tokenizer tokenizer = words(model);
				GenerationEngine engine = GenerationEngine.open(model,
						(options) -> options.slots(1).program(TinyModel.PROGRAM))) {
			for (String prompt : new String[] { "", "one", "one two", "one two " }) {
				for (long seed = 0; seed < 10; seed++) {
					Tokens tokens = new Tokens(tokenizer.encode(prompt.strip()));
					StringBuilder text = new StringBuilder();
					long each = seed;
					engine.generate(prompt, (request) -> request.maxNewTokens(8).seed(each)).forEach((chunk) -> {
						text.append(chunk.text());
						tokens.add(chunk.tokens());
					});
					String whole = tokenizer.decode(tokens.all);
					assertThat(prompt + text).isEqualTo(whole.equals(prompt.strip()) ? prompt : whole);
				}
			}
		}
	}

	private static final class Tokens {

		private int[] all;

		Tokens(int[] first) {
			this.all = first;
		}

		void add(int[] more) {
			int length = this.all.length;
			this.all = Arrays.copyOf(this.all, length + more.length);
			System.arraycopy(more, 0, this.all, length, more.length);
		}

	}

	private static void assertPrompt(Tokenizer tokenizer, String text, String seen, String left) {
		Prompt prompt = Prompt.of(text, tokenizer, CONFIG, true);
		assertThat(tokenizer.decode(prompt.tokens())).isEqualTo(seen);
		assertThat(prompt.space()).isEqualTo(left);
	}

	/** Whole words, each with the space before it, as SentencePiece writes them. */
	private static Tokenizer words(Path directory) throws IOException {
		String metaspace = "{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"always\",\"split\":true}";
		Path file = directory.resolve("tokenizer.json");
		Files.writeString(file, "{\"pre_tokenizer\":" + metaspace + ",\"decoder\":" + metaspace
				+ ",\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"<unk>\",\"vocab\":{\"<unk>\":0,\"<s>\":1,\"</s>\":2,"
				+ "\"<pad>\":3,\"▁one\":4,\"▁two\":5,\"▁three\":6}}}");
		Files.deleteIfExists(directory.resolve("tokenizer_config.json"));
		return Tokenizer.load(file);
	}

}

package io.calm.text;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

class BytePairTrainingTests {

	private final Path directory;

	BytePairTrainingTests(@TempDir Path directory) {
		this.directory = directory;
	}

	@Test
	void mergesTheMostFrequentPairFirst() throws IOException {
		// "es" stands 9 times, then "est", then "lo" (7 times) and "low"; of pairs of the
		// same count the one of smaller ids comes first
		String text = "low ".repeat(4) + "lower ".repeat(3) + "newest ".repeat(5) + "widest ".repeat(4);
		try (Tokenizer tokenizer = Tokenizer.train(corpus(text), ByteLevelTokenizer.FIRST_MERGED + 4)) {
			assertThat(pieces(tokenizer, "newest")).containsExactly("n", "e", "w", "est");
			assertThat(pieces(tokenizer, "lower")).containsExactly("low", "e", "r");
			assertThat(pieces(tokenizer, "slot")).containsExactly("s", "lo", "t");
		}
	}

	@Test
	void aRunOfOneCharacterIsMergedFromTheLeft() throws IOException {
		try (Tokenizer tokenizer = Tokenizer.train(corpus("aaaaa aaaaa"), 1000)) {
			// until each word is one token, and no pair stands twice
			assertThat(pieces(tokenizer, "aaaaa")).containsExactly("aaaaa");
			assertThat(pieces(tokenizer, "aaaa")).containsExactly("aa", "aa");
			assertThat(tokenizer.vocabularySize()).isEqualTo(ByteLevelTokenizer.FIRST_MERGED + 3);
		}
	}

	@Test
	void keepsEveryTextAndComesBackFromItsFiles() throws IOException {
		try (Tokenizer tokenizer = Tokenizer.train(corpus(TokenizerTests.UNICODE.repeat(3)), 300)) {
			assertThat(tokenizer.decode(tokenizer.encode(TokenizerTests.UNICODE))).isEqualTo(TokenizerTests.UNICODE);
			assertThat(tokenizer.encode("a<|eos|>")).doesNotContain(tokenizer.eosId());
			tokenizer.save(this.directory.resolve("saved"));
			try (Tokenizer loaded = Tokenizer.load(this.directory.resolve("saved"))) {
				assertThat(loaded.encode(TokenizerTests.UNICODE)).isEqualTo(tokenizer.encode(TokenizerTests.UNICODE));
				assertThat(List.of(loaded.vocabularySize(), loaded.padId(), loaded.bosId(), loaded.eosId()))
					.containsExactly(tokenizer.vocabularySize(), 0, 1, 2);
			}
		}
	}

	@Test
	void refusesAVocabularyWithoutRoomForTheBytes() throws IOException {
		Corpus corpus = corpus("text");
		assertThatThrownBy(() -> Tokenizer.train(corpus, 258)).isInstanceOf(InvalidInputException.class)
			.hasMessageContaining("258")
			.hasMessageContaining("259");
	}

	private static List<String> pieces(Tokenizer tokenizer, String word) {
		return Arrays.stream(tokenizer.encode(word)).mapToObj(tokenizer::decode).toList();
	}

	private Corpus corpus(String text) throws IOException {
		return Corpus.of(Files.writeString(this.directory.resolve("corpus.txt"), text));
	}

}

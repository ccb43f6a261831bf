package io.calm.text;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.Locale;
import java.util.Objects;
import java.util.Random;
import java.util.stream.IntStream;

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.input.InvalidInputException;
import org.assertj.core.api.AbstractStringAssert;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

class TokenizerTests {

	static final String UNICODE = "Grüße, 世界! 👩‍👩‍👧 \uD83E\uDD16\r\n\t\u0000\u0001\u001F\u007F\u0085\u00A0\u00AD\uFEFF\uFFFD\uD800\uDC00 \uDBFF\uDFFF é e\u0301 العربية ไทย <|eos|> </s>";

	private final Path directory;

	TokenizerTests(@TempDir Path directory) {
		this.directory = directory;
	}

	@Test
	void aTrainedTokenizerKeepsEveryText() {
		try (Tokenizer tokenizer = Tokenizer.load(trained())) {
			assertThat(tokenizer.vocabularySize()).isEqualTo(4096);
			assertThat(tokenizer.padId()).isZero();
			assertThat(tokenizer.bosId()).isEqualTo(1);
			assertThat(tokenizer.eosId()).isEqualTo(2);
			assertThat(tokenizer.encode("")).isEmpty();
			assertThat(tokenizer.encode("The lobster is a species of lobster .")).hasSizeBetween(8, 20);
			assertThat(tokenizer.decode(tokenizer.encode(UNICODE))).isEqualTo(UNICODE);
			assertThat(Arrays.stream(tokenizer.encode(UNICODE))).allMatch((id) -> id > 2 && id < 4096);
			String text = randomText(new Random(1), 20_000);
			assertThat(tokenizer.decode(tokenizer.encode(text))).isEqualTo(text);
		}
	}

	@Test
	void textCannotSpellSpecialTokens() {
		try (Tokenizer tokenizer = Tokenizer.load(trained())) {
			String text = "a<|eos|><|bos|>b<<|pad|>";
			int[] ids = tokenizer.encode(text);
			assertThat(ids).doesNotContain(0, 1, 2);
			assertThat(tokenizer.decode(ids)).isEqualTo(text);
		}
	}

	/** Whoever declares it, and however it is written. */
	@Test
	void textCannotSpellWhatIsDeclaredElsewhere() throws IOException {
		JsonObject json = JsonParser
			.parseString(tokenizerJson("<", "/", "S", "s", ">", "</s>", "[end]", "[", "e", "n", "d", "]", "<turn>", "t",
					"u", "r", "<extra>", "x", "a"))
			.getAsJsonObject();
		json.add("normalizer", JsonParser.parseString("{\"type\":\"Lowercase\"}"));
		json.add("added_tokens", JsonParser.parseString(
				"[{\"id\":5,\"content\":\"</s>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":true,\"special\":true},"
						+ "{\"id\":6,\"content\":\"[end]\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":false},"
						+ "{\"id\":12,\"content\":\"<turn>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":false},"
						+ "{\"id\":16,\"content\":\"<extra>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":false}]"));
		Path file = write("tokenizer.json", json.toString());
		write("tokenizer_config.json", "{\"eos_token\":\"[end]\",\"additional_special_tokens\":[\"<extra>\"],"
				+ "\"added_tokens_decoder\":{\"12\":{\"content\":\"<turn>\",\"special\":true}}}");
		try (Tokenizer tokenizer = Tokenizer.load(file)) {
			for (String text : new String[] { "</s>", "</S>", "</S></s></S>", "a[end]</S>", "<turn><extra>[end]" }) {
				int[] ids = tokenizer.encode(text);
				assertThat(ids).as(text).doesNotContain(5, 6, 12, 16);
				assertThat(tokenizer.decode(ids)).as(text).isEqualTo(text.toLowerCase(Locale.ROOT));
			}
		}
	}

	/** With as many special tokens as Llama 3 has, of which the text names one. */
	@Test
	@Timeout(60)
	void encodingTakesTimeInProportionToTheText() throws IOException {
		JsonObject json = JsonParser.parseString(Files.readString(trained().resolve("tokenizer.json")))
			.getAsJsonObject();
		JsonArray added = json.getAsJsonArray("added_tokens");
		for (int i = 0; i < 256; i++) {
			JsonObject token = added.get(0).getAsJsonObject().deepCopy();
			token.addProperty("id", 4096 + i);
			token.addProperty("content", "<|reserved_special_token_" + i + "|>");
			added.add(token);
		}
		try (Tokenizer tokenizer = Tokenizer.load(write("tokenizer.json", json.toString()))) {
			String text = "<|eos|>".repeat(40_000);
			assertThat(tokenizer.decode(tokenizer.encode(text))).isEqualTo(text);
		}
	}

	@Test
	void specialTokensMakeNoText() {
		try (Tokenizer trained = Tokenizer.load(trained()); Tokenizer bytes = new ByteTokenizer()) {
			for (Tokenizer tokenizer : new Tokenizer[] { trained, bytes }) {
				int[] hello = tokenizer.encode("hello");
				int[] ids = IntStream
					.concat(IntStream.of(0, 0, 1), IntStream.concat(Arrays.stream(hello), IntStream.of(2)))
					.toArray();
				assertThat(tokenizer.decode(ids)).isEqualTo("hello");
				assertThatIllegalArgumentException().isThrownBy(() -> tokenizer.decode(tokenizer.vocabularySize()));
				assertThatIllegalArgumentException().isThrownBy(() -> tokenizer.decode(-1));
			}
		}
	}

	@Test
	void unpairedSurrogatesBecomeQuestionMarks() {
		try (Tokenizer trained = Tokenizer.load(trained()); Tokenizer bytes = new ByteTokenizer()) {
			for (Tokenizer tokenizer : new Tokenizer[] { trained, bytes }) {
				assertThat(tokenizer.decode(tokenizer.encode("a\uD83Db\uDE00"))).isEqualTo("a?b?");
			}
		}
	}

	@Test
	void bytesAreTheSameThroughTheSavedFile() {
		ByteTokenizer bytes = new ByteTokenizer();
		bytes.save(this.directory.resolve("new"));
		try (Tokenizer loaded = Tokenizer.load(this.directory.resolve("new"))) {
			assertThat(loaded.vocabularySize()).isEqualTo(bytes.vocabularySize()).isEqualTo(259);
			assertThat(loaded.padId()).isEqualTo(bytes.padId()).isZero();
			assertThat(loaded.bosId()).isEqualTo(bytes.bosId()).isEqualTo(1);
			assertThat(loaded.eosId()).isEqualTo(bytes.eosId()).isEqualTo(2);
			Random random = new Random(2);
			String every = IntStream.range(0, 0x3000)
				.collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
				.toString();
			for (String text : new String[] { "", " ", "  a  b\n\n c", UNICODE, every, randomText(random, 10_000) }) {
				int[] ids = bytes.encode(text);
				assertThat(loaded.encode(text)).isEqualTo(ids);
				assertThat(bytes.decode(ids)).isEqualTo(text);
				assertThat(loaded.decode(ids)).isEqualTo(text);
			}
			assertThat(bytes.encode("A")).containsExactly(3 + 65);
		}
	}

	@Test
	void savedIsWhatWasLoaded() throws IOException {
		try (Tokenizer tokenizer = Tokenizer.load(trained().resolve("tokenizer.json"))) {
			tokenizer.save(this.directory);
		}
		for (String file : new String[] { "tokenizer.json", "tokenizer_config.json" }) {
			assertThat(this.directory.resolve(file)).hasSameBinaryContentAs(trained().resolve(file));
		}
		Path occupied = Files.writeString(this.directory.resolve("occupied"), "x");
		assertInvalid(() -> new ByteTokenizer().save(occupied)).contains("occupied");
	}

	@Test
	void withoutPadOneIsAddedAndStaysTheSameWhenSaved() throws IOException {
		Path file = write("tokenizer.json", tokenizerJson("</s>", "<s>", "a", "b"));
		try (Tokenizer tokenizer = Tokenizer.load(file)) {
			assertThat(tokenizer.eosId()).isZero();
			assertThat(tokenizer.bosId()).isEqualTo(1);
			assertThat(tokenizer.padId()).isEqualTo(4);
			assertThat(tokenizer.vocabularySize()).isEqualTo(5);
			assertThat(tokenizer.decode(4, 2, 4, 3)).isEqualTo("ab");
			tokenizer.save(this.directory.resolve("saved"));
		}
		try (Tokenizer saved = Tokenizer.load(this.directory.resolve("saved"))) {
			assertThat(saved.padId()).isEqualTo(4);
			assertThat(saved.bosId()).isEqualTo(1);
			assertThat(saved.vocabularySize()).isEqualTo(5);
		}
	}

	@Test
	void theConfigurationNamesTheSpecialTokens() throws IOException {
		Path file = write("tokenizer.json", tokenizerJson("</s>", "<s>", "a", "b", "[end]"));
		write("tokenizer_config.json",
				"{\"eos_token\":{\"content\":\"[end]\"},\"bos_token\":null,\"pad_token\":\"a\"}");
		try (Tokenizer tokenizer = Tokenizer.load(file)) {
			assertThat(tokenizer.eosId()).isEqualTo(4);
			assertThat(tokenizer.bosId()).isEqualTo(1);
			assertThat(tokenizer.padId()).isEqualTo(2);
		}
	}

	@Test
	void padIsNeverEos() throws IOException {
		Path file = write("tokenizer.json", tokenizerJson("<|endoftext|>", "a"));
		write("tokenizer_config.json", "{\"eos_token\":\"<|endoftext|>\",\"pad_token\":\"<|endoftext|>\"}");
		try (Tokenizer tokenizer = Tokenizer.load(file)) {
			assertThat(tokenizer.eosId()).isEqualTo(tokenizer.bosId()).isZero();
			assertThat(tokenizer.padId()).isEqualTo(2);
			assertThat(tokenizer.vocabularySize()).isEqualTo(3);
		}
	}

	@Test
	void withoutEosThereIsAnErrorThatSaysWhatToDo() throws IOException {
		Path file = write("tokenizer.json", tokenizerJson("<s>", "a", "b"));
		assertInvalid(() -> Tokenizer.load(file)).contains("tokenizer.json", "EOS", "eos_token");
		write("tokenizer_config.json", "{\"eos_token\":\"missing\"}");
		assertInvalid(() -> Tokenizer.load(file)).contains("EOS");
	}

	@Test
	void truncationAndPaddingOfTheFileAreIgnored() throws IOException {
		JsonObject json = JsonParser.parseString(tokenizerJson("</s>", "a", "b")).getAsJsonObject();
		json.add("truncation", JsonParser
			.parseString("{\"direction\":\"Right\",\"max_length\":2,\"strategy\":\"LongestFirst\",\"stride\":0}"));
		json.add("padding", JsonParser.parseString(
				"{\"strategy\":{\"Fixed\":9},\"direction\":\"Right\",\"pad_to_multiple_of\":null,\"pad_id\":0,\"pad_type_id\":0,\"pad_token\":\"</s>\"}"));
		json.add("post_processor",
				JsonParser.parseString("{\"type\":\"BertProcessing\",\"sep\":[\"</s>\",0],\"cls\":[\"</s>\",0]}"));
		Path file = write("tokenizer.json", json.toString());
		try (Tokenizer tokenizer = Tokenizer.load(file)) {
			assertThat(tokenizer.encode("abab")).containsExactly(1, 2, 1, 2);
		}
	}

	/** Before memory is taken for them; they take no space on the disk. */
	@ParameterizedTest
	@ValueSource(strings = { "tokenizer.json", "tokenizer_config.json" })
	void endlessFilesAreReported(String name) throws IOException {
		write("tokenizer.json", "{}");
		try (RandomAccessFile sparse = new RandomAccessFile(this.directory.resolve(name).toFile(), "rw")) {
			sparse.setLength(3L << 30);
		}
		assertInvalid(() -> Tokenizer.load(this.directory)).contains(name + " is longer than");
	}

	@ParameterizedTest
	@ValueSource(strings = { "", "garbage", "{", "[]", "null", "{}", "{\"model\":{}}", "{\"model\":{\"vocab\":7}}",
			"{\"model\":{\"vocab\":{}}}", "{\"model\":{\"vocab\":{\"</s>\":0}}}",
			"{\"model\":{\"vocab\":{\"</s>\":-1}}}", "{\"model\":{\"vocab\":{\"</s>\":2000000000}}}",
			"{\"model\":{\"vocab\":{\"</s>\":\"x\"}}}", "{\"model\":{\"vocab\":[\"</s>\"]}}",
			"{\"added_tokens\":[7],\"model\":{\"vocab\":{\"</s>\":0}}}",
			"{\"added_tokens\":[{\"id\":1,\"content\":\"x\",\"special\":{}}],\"model\":{\"vocab\":{\"</s>\":0}}}",
			"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"</s>\":0},\"merges\":[\"q q\"]}}",
			"{\"model\":{\"type\":\"Unigram\",\"unk_id\":-1,\"vocab\":[[\"</s>\",0]]}}",
			"{\"model\":{\"type\":\"Unigram\",\"unk_id\":1e99999,\"vocab\":[[\"</s>\",0]]}}", "{\"\u001b[31m\":{\"a\":",
			"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"</s>\":0},\"merges\":[\"\u001b[31m q\"]}}" })
	void brokenFilesAreReported(String content) throws IOException {
		Path file = write("tokenizer.json", content);
		assertInvalid(() -> Tokenizer.load(file)).contains("tokenizer.json").doesNotContain("\n", "\u001b");
		assertInvalid(() -> Tokenizer.load(this.directory)).contains("tokenizer.json");
	}

	@ParameterizedTest
	@ValueSource(strings = { "\"decoder\":{\"type\":\"Fuse\",\"x\":1e999}",
			"\"decoder\":{\"type\":\"Fuse\",\"x\":\"\\ud800\"}",
			"\"decoder\":{\"type\":\"Strip\",\"content\":\"a\",\"start\":0,\"stop\":9}",
			"\"pre_tokenizer\":{\"type\":\"FixedLength\",\"length\":0}", "\"normalizer\":{\"type\":\"Precompiled\"}",
			"\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"AAAA\"}",
			"\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"!\"}]}" })
	void whatWouldEndTheProcessIsReported(String part) throws IOException {
		Path file = write("tokenizer.json", withPart(part));
		assertInvalid(() -> Tokenizer.load(file)).contains("tokenizer.json");
	}

	@Test
	void mergesThatDoNotContinueAreReported() throws IOException {
		String model = "{\"model\":{\"type\":\"BPE\",\"continuing_subword_prefix\":\"##\","
				+ "\"vocab\":{\"</s>\":0,\"a\":1,\"##b\":2,\"ab\":3,\"b\":4},\"merges\":[%s]}}";
		Path file = this.directory.resolve("tokenizer.json");
		for (String merge : new String[] { "\"a ##b\"", "[\"a\",\"##b\"]" }) {
			write("tokenizer.json", String.format(model, merge));
			try (Tokenizer tokenizer = Tokenizer.load(file)) {
				assertThat(tokenizer.encode("ab")).containsExactly(3);
			}
		}
		for (String merge : new String[] { "\"a b\"", "[\"a\",\"b\"]" }) {
			write("tokenizer.json", String.format(model, merge));
			assertInvalid(() -> Tokenizer.load(file)).contains("continuing_subword_prefix");
		}
	}

	@Test
	void longNamesMakeNoLongMessage() throws IOException {
		String name = "x".repeat(5000);
		for (String content : new String[] { "{\"" + name + "\":}",
				"{\"model\":{\"type\":\"" + name + "\",\"vocab\":{\"</s>\":0}}}" }) {
			Path file = write("tokenizer.json", content);
			assertInvalid(() -> Tokenizer.load(file)).contains("tokenizer.json").hasSizeLessThan(1000);
		}
	}

	/**
	 * A trie that makes b of a; in one that is broken, the native tokenizer would end the
	 * process.
	 */
	@Test
	void characterMapThatLeadsAstrayIsReported() throws IOException {
		Path file = this.directory.resolve("tokenizer.json");
		int leaf = 'a' | 1 << 8 | 1 << 10;
		write("tokenizer.json", withPart(characterMap(leaf, 0)));
		try (Tokenizer tokenizer = Tokenizer.load(file)) {
			assertThat(tokenizer.encode("ab")).containsExactly(2, 2);
		}
		for (String map : new String[] { characterMap('a' | 1 << 8 | 500 << 10, 0),
				characterMap('a' | 1 << 9 | 1 << 30, 0), characterMap(leaf, 5), characterMap(leaf, 3_000_000),
				characterMap(leaf, 3) }) {
			write("tokenizer.json", withPart(map));
			assertInvalid(() -> Tokenizer.load(file)).contains("normalizer");
		}
	}

	/**
	 * A double array of one block.
	 * @param leaf the unit of the letter a, whose value is in the unit before it
	 * @param text where in the texts its value begins
	 */
	private static String characterMap(int leaf, int text) {
		byte[] texts = "b\u0000\u00e9".getBytes(StandardCharsets.UTF_8);
		ByteBuffer map = ByteBuffer.allocate(4 + 1024 + texts.length).order(ByteOrder.LITTLE_ENDIAN).putInt(1024);
		map.putInt(4 + 4 * 'a', leaf).putInt(4 + 4 * ('a' ^ 1), Integer.MIN_VALUE | text);
		map.position(4 + 1024).put(texts);
		return "\"normalizer\":{\"type\":\"Precompiled\",\"precompiled_charsmap\":\""
				+ Base64.getEncoder().encodeToString(map.array()) + "\"}";
	}

	@Test
	void deepNestingAndUselessPostProcessorsDoNotEndTheProcess() throws IOException {
		Path file = write("tokenizer.json",
				withPart("\"decoder\":{\"type\":\"Fuse\",\"x\":" + "[".repeat(150) + "]".repeat(150) + "}"));
		assertInvalid(() -> Tokenizer.load(file)).contains("tokenizer.json");
		write("tokenizer.json", withPart(
				"\"post_processor\":{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}],\"pair\":[],\"special_tokens\":{}}"));
		try (Tokenizer tokenizer = Tokenizer.load(file)) {
			assertThat(tokenizer.encode("ab")).containsExactly(1, 2);
		}
	}

	@Test
	void aTextThatCannotBeEncodedIsReportedWithoutTheText() throws IOException {
		Path file = write("tokenizer.json",
				"{\"model\":{\"type\":\"WordLevel\",\"vocab\":{\"</s>\":0},\"unk_token\":\"[UNK]\"}}");
		try (Tokenizer tokenizer = Tokenizer.load(file)) {
			assertInvalid(() -> tokenizer.encode("private")).contains("[UNK]").doesNotContain("private");
		}
	}

	@Test
	void binaryCutOffAndMissingFilesAreReported() throws IOException {
		Path file = this.directory.resolve("tokenizer.json");
		assertInvalid(() -> Tokenizer.load(file)).contains("tokenizer.json", "no such file");
		assertInvalid(() -> Tokenizer.load(this.directory)).contains("tokenizer.json", "no such file");
		byte[] noise = new byte[4096];
		new Random(3).nextBytes(noise);
		Files.write(file, noise);
		assertInvalid(() -> Tokenizer.load(file)).contains("UTF-8");
		byte[] good = Files.readAllBytes(trained().resolve("tokenizer.json"));
		for (int length : new int[] { 1, 1000, good.length / 2, good.length - 2 }) {
			Files.write(file, Arrays.copyOf(good, length));
			assertInvalid(() -> Tokenizer.load(file)).contains("tokenizer.json");
		}
		Files.write(file, good);
		write("tokenizer_config.json", "{");
		assertInvalid(() -> Tokenizer.load(file)).contains("tokenizer_config.json");
	}

	@Test
	void closedIsClosed() {
		Tokenizer tokenizer = Tokenizer.load(trained());
		tokenizer.close();
		tokenizer.close();
		assertThatIllegalStateException().isThrownBy(() -> tokenizer.encode("a"));
		assertThatIllegalStateException().isThrownBy(() -> tokenizer.decode(5));
	}

	static Path trained() {
		try {
			return Path.of(Objects.requireNonNull(TokenizerTests.class.getResource("/tokenizer-4k")).toURI());
		}
		catch (URISyntaxException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/** Whole words, each with the space before it, as SentencePiece writes them. */
	static Path writeWords(Path directory) throws IOException {
		String metaspace = "{\"type\":\"Metaspace\",\"replacement\":\"▁\",\"prepend_scheme\":\"always\",\"split\":true}";
		Files.writeString(directory.resolve("tokenizer.json"), "{\"pre_tokenizer\":" + metaspace + ",\"decoder\":"
				+ metaspace
				+ ",\"model\":{\"type\":\"WordLevel\",\"unk_token\":\"<unk>\",\"vocab\":{\"<unk>\":0,\"<s>\":1,\"</s>\":2,"
				+ "\"<pad>\":3,\"▁one\":4,\"▁two\":5,\"▁three\":6}}}");
		return directory;
	}

	static String randomText(Random random, int length) {
		return random.ints(0, Character.MAX_CODE_POINT + 1)
			.map((codePoint) -> random.nextBoolean() ? codePoint : codePoint % 0x250)
			.filter((codePoint) -> codePoint < Character.MIN_SURROGATE || codePoint > Character.MAX_SURROGATE)
			.limit(length)
			.collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
			.toString();
	}

	static AbstractStringAssert<?> assertInvalid(ThrowingCallable call) {
		return assertThatThrownBy(call).isInstanceOf(InvalidInputException.class).message();
	}

	/** A model of whole words without any special flags. */
	private static String tokenizerJson(String... tokens) {
		JsonObject vocabulary = new JsonObject();
		for (String token : tokens) {
			vocabulary.addProperty(token, vocabulary.size());
		}
		JsonObject model = new JsonObject();
		model.addProperty("type", "BPE");
		model.add("vocab", vocabulary);
		model.add("merges", new JsonArray());
		JsonObject json = new JsonObject();
		json.add("decoder", JsonParser.parseString("{\"type\":\"Fuse\"}"));
		json.add("model", model);
		return json.toString();
	}

	private static String withPart(String part) {
		JsonObject json = JsonParser.parseString(tokenizerJson("</s>", "a", "b")).getAsJsonObject();
		json.remove("decoder");
		return "{" + part + "," + json.toString().substring(1);
	}

	private Path write(String name, String content) throws IOException {
		return Files.write(this.directory.resolve(name), content.getBytes(StandardCharsets.UTF_8));
	}

}

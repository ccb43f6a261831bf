package io.calm.text;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static io.calm.text.TokenizerTests.assertInvalid;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

class TokenStoreTests {

	private final Path directory;

	TokenStoreTests(@TempDir Path directory) {
		this.directory = directory;
	}

	@Test
	void aDocumentIsBosTokensEos() throws IOException {
		Path file = write("a.jsonl", "{\"text\":\"ab\"}\n{\"text\":\"\"}\n{\"text\":\"c\"}\n");
		try (TokenStore store = TokenStore.of(Corpus.of(file), new ByteTokenizer())) {
			assertThat(store.documents()).isEqualTo(2);
			assertThat(store.tokens()).isEqualTo(7);
			assertThat(document(store, 0)).containsExactly(1, 100, 101, 2);
			assertThat(document(store, 1)).containsExactly(1, 102, 2);
		}
	}

	@Test
	void ofAPromptWithItsAnswerThePromptIsGiven() throws IOException {
		Path file = write("a.jsonl",
				"{\"prompt\":\"ab\",\"completion\":\"c\"}\n{\"text\":\"abc\"}\n{\"prompt\":\"\",\"completion\":\"c\"}\n");
		try (TokenStore store = TokenStore.of(Corpus.of(file), new ByteTokenizer())) {
			assertThat(document(store, 0)).containsExactly(1, 100, 101, 102, 2);
			assertThat(document(store, 1)).containsExactly(1, 100, 101, 102, 2);
			assertThat(document(store, 2)).containsExactly(1, 102, 2);
			assertThat(IntStream.range(0, 3).map(store::given)).containsExactly(3, 0, 1);
		}
	}

	@Test
	void manyPromptsAreKept() throws IOException {
		StringBuilder lines = new StringBuilder();
		for (int i = 0; i < 3_000; i++) {
			lines.append("{\"prompt\":\"").append("a".repeat(i % 7)).append("\",\"completion\":\"b\"}\n");
		}
		try (TokenStore store = TokenStore.of(Corpus.of(write("a.jsonl", lines.toString())), new ByteTokenizer())) {
			assertThat(store.documents()).isEqualTo(3_000);
			for (int i = 0; i < 3_000; i++) {
				assertThat(store.given(i)).isEqualTo(i % 7 + 1);
				assertThat(store.length(i)).isEqualTo(i % 7 + 3);
			}
		}
	}

	/** The same tokens, but others are learned. */
	@Test
	void theDigestKnowsWhatIsGiven() throws IOException {
		Path first = write("a.jsonl", "{\"prompt\":\"ab\",\"completion\":\"c\"}");
		Path second = write("b.jsonl", "{\"prompt\":\"a\",\"completion\":\"bc\"}");
		Path plain = write("c.jsonl", "{\"text\":\"abc\"}");
		assertThat(List.of(first, second, plain, first).stream().map((file) -> {
			try (TokenStore store = TokenStore.of(Corpus.of(file), new ByteTokenizer())) {
				return store.digest();
			}
		}).distinct()).hasSize(3);
	}

	@Test
	void longDocumentsAndManyDocumentsAreKeptWhole() throws IOException {
		Random random = new Random(4);
		StringBuilder lines = new StringBuilder();
		for (int i = 0; i < 3_000; i++) {
			lines.append("# ").append(i).append('\n').append("lorem ipsum ".repeat(random.nextInt(60))).append('\n');
		}
		String rest = "dolor\n".repeat(1_000_000);
		Path file = write("a.txt", lines + rest);
		Corpus corpus = Corpus.of((options) -> options.paths(file).documentStart("# \\d+"));
		ByteTokenizer tokenizer = new ByteTokenizer();
		try (TokenStore store = TokenStore.of(corpus, tokenizer)) {
			assertThat(store.documents()).isEqualTo(3_000);
			StringBuilder text = new StringBuilder();
			for (int i = 0; i < store.documents(); i++) {
				int[] ids = document(store, i);
				assertThat(ids[0]).isEqualTo(tokenizer.bosId());
				assertThat(ids[ids.length - 1]).isEqualTo(tokenizer.eosId());
				text.append(tokenizer.decode(ids));
			}
			assertThat(text.toString()).isEqualTo(lines + rest);
			assertThat(store.tokens()).isEqualTo(lines.length() + rest.length() + 2 * 3_000);
		}
	}

	@Test
	void documentsOfIdsAreTakenAsTheyAre() {
		try (TokenStore store = TokenStore.of(new int[] { 5, 6, 7 }, new int[] {}, new int[] { 8 })) {
			assertThat(store.documents()).isEqualTo(2);
			assertThat(document(store, 0)).containsExactly(5, 6, 7);
			assertThat(document(store, 1)).containsExactly(8);
			int[] target = new int[4];
			store.read(0, 1, target, 2, 2);
			assertThat(target).containsExactly(0, 0, 6, 7);
			assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> store.read(0, 2, target, 0, 2));
			assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> store.length(2));
		}
		assertThatIllegalArgumentException().isThrownBy(() -> TokenStore.of(new int[] { 1, -1 }));
	}

	/** As SentencePiece makes them for many languages: ids need more than 16 bits. */
	@Test
	void idsOfManyPiecesAreKept() throws IOException {
		String metaspace = "{\"type\":\"Metaspace\",\"replacement\":\"\u2581\",\"prepend_scheme\":\"always\",\"split\":true}";
		StringBuilder json = new StringBuilder("{\"pre_tokenizer\":" + metaspace + ",\"decoder\":" + metaspace
				+ ",\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":false,"
				+ "\"vocab\":[[\"<unk>\",0],[\"<s>\",0],[\"</s>\",0],[\"<pad>\",0]");
		IntStream.range(4, 70_000).forEach((id) -> json.append(",[\"\u2581w").append(id).append("\",-9.5]"));
		String text = "w69999 w5 w65535 w65536";
		try (Tokenizer tokenizer = Tokenizer.load(write("tokenizer.json", json + "]}}"));
				TokenStore store = TokenStore.of(Corpus.of(write("a.txt", text)), tokenizer)) {
			assertThat(tokenizer.vocabularySize()).isEqualTo(70_000);
			assertThat(document(store, 0)).containsExactly(1, 69_999, 5, 65_535, 65_536, 2);
			assertThat(tokenizer.decode(document(store, 0))).isEqualTo(text);
		}
	}

	@Test
	void theDigestNamesIdsAndBoundaries() {
		String digest = digest(new int[] { 1, 2 }, new int[] { 3 });
		assertThat(digest).matches("[0-9a-f]{64}");
		assertThat(digest(new int[] { 1, 2 }, new int[] {}, new int[] { 3 })).isEqualTo(digest);
		assertThat(digest(new int[] { 1 }, new int[] { 2, 3 })).isNotEqualTo(digest);
		assertThat(digest(new int[] { 1, 2, 3 })).isNotEqualTo(digest);
		assertThat(digest(new int[] { 1, 2 }, new int[] { 4 })).isNotEqualTo(digest);
	}

	@Test
	void theDigestIsShaOfLittleEndianIdsAndOffsets() {
		// python3: hashlib.sha256(struct.pack('<1i2q', 7, 0, 1)).hexdigest()
		assertThat(digest(new int[] { 7 }))
			.isEqualTo("afacb7b125883451b157132bc96b524e1c955d6474f8a504afae1f255c62ee78");
	}

	@Test
	void manyThreadsReadAtOnceAndAnInterruptHarmsNobody() {
		int[][] documents = IntStream.range(0, 200)
			.mapToObj((i) -> IntStream.range(i, 2 * i + 1).toArray())
			.toArray(int[][]::new);
		try (TokenStore store = TokenStore.of(documents)) {
			Thread.currentThread().interrupt();
			document(store, 3);
			assertThat(Thread.interrupted()).isTrue();
			assertThat(IntStream.range(0, 20_000).parallel().map((i) -> (i * 31) % 200))
				.allMatch((i) -> Arrays.equals(document(store, i), documents[i]));
		}
	}

	@Test
	void withoutTokensThereIsNoStore() throws IOException {
		assertInvalid(() -> TokenStore.of()).contains("no tokens");
		assertInvalid(() -> TokenStore.of(new int[0])).contains("no tokens");
		Path file = write("a.txt", "");
		assertInvalid(() -> TokenStore.of(Corpus.of(file), new ByteTokenizer())).contains("a.txt");
	}

	@Test
	void closedIsClosed() {
		TokenStore store = TokenStore.of(new int[] { 1 });
		store.close();
		store.close();
		assertThatIllegalStateException().isThrownBy(() -> document(store, 0));
	}

	static int[] document(TokenStore store, int document) {
		int[] ids = new int[(int) store.length(document)];
		store.read(document, 0, ids, 0, ids.length);
		return ids;
	}

	private static String digest(int[]... documents) {
		try (TokenStore store = TokenStore.of(documents)) {
			return store.digest();
		}
	}

	private Path write(String name, String content) throws IOException {
		return Files.writeString(this.directory.resolve(name), content);
	}

}

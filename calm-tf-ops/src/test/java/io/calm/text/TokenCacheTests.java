package io.calm.text;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.ClosedByInterruptException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static io.calm.text.TokenizerTests.assertInvalid;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

class TokenCacheTests {

	private static final String LINES = "{\"prompt\":\"ab\",\"completion\":\"c\"}\n{\"text\":\"defg\"}\n";

	private final Path directory;

	private final Path tokens;

	private final TokenCache cache;

	TokenCacheTests(@TempDir Path directory) {
		this.directory = directory;
		this.tokens = directory.resolve("model/tokens");
		this.cache = TokenCache.in(this.tokens);
	}

	@Test
	void aCorpusIsTokenizedOnce() throws IOException {
		Corpus corpus = Corpus.of(write("a.jsonl", LINES));
		assertThat(this.cache.find(corpus, new ByteTokenizer())).isEmpty();
		assertThat(this.tokens).doesNotExist();
		assertThat(isMade(corpus, new ByteTokenizer())).isTrue();
		assertThat(isMade(corpus, new ByteTokenizer())).isFalse();
		assertThat(files()).hasSize(1);
		try (TokenStore made = TokenStore.of(corpus, new ByteTokenizer());
				TokenStore kept = this.cache.find(corpus, new ByteTokenizer()).orElseThrow()) {
			assertThat(kept.digest()).isEqualTo(made.digest());
			assertThat(kept.documents()).isEqualTo(2);
			assertThat(kept.given(0)).isEqualTo(3);
			assertThat(TokenStoreTests.document(kept, 1)).containsExactly(1, 103, 104, 105, 106, 2);
		}
	}

	@Test
	void aTokenizerIsLearnedOnce() throws IOException {
		Corpus corpus = Corpus.of(write("a.txt", "lorem ipsum dolor ".repeat(50)));
		try (Tokenizer learned = Tokenizer.train(corpus, 270); Tokenizer first = this.cache.tokenizer(corpus, 270)) {
			assertThat(TokenizerFiles.digest(first)).isEqualTo(TokenizerFiles.digest(learned));
			Path file = files().get(0);
			FileTime time = FileTime.fromMillis(1_000_000);
			Files.setLastModifiedTime(file, time);
			try (Tokenizer second = this.cache.tokenizer(corpus, 270)) {
				assertThat(TokenizerFiles.digest(second)).isEqualTo(TokenizerFiles.digest(learned));
			}
			assertThat(Files.getLastModifiedTime(file)).isEqualTo(time);
			byte[] damaged = Files.readAllBytes(file);
			damaged[100] ^= 1;
			Files.write(file, damaged);
			try (Tokenizer again = this.cache.tokenizer(corpus, 270)) {
				assertThat(TokenizerFiles.digest(again)).isEqualTo(TokenizerFiles.digest(learned));
			}
		}
		try (Tokenizer bytes = this.cache.tokenizer(corpus, 259)) {
			assertThat(bytes.vocabularySize()).isEqualTo(259);
		}
		assertThat(files()).hasSize(2);
		assertInvalid(() -> this.cache.tokenizer(corpus, 258)).contains("vocabulary size is 258");
	}

	@Test
	void theNameIsOfTextTokenizerAndWhatIsReadOfIt() throws IOException {
		Path file = write("a.jsonl", LINES.replace("}\n", ",\"body\":\"x\"}\n"));
		ByteTokenizer bytes = new ByteTokenizer();
		assertThat(isMade(Corpus.of(file), bytes)).isTrue();
		assertThat(isMade(Corpus.of((corpus) -> corpus.paths(file).jsonField("body")), bytes)).isTrue();
		assertThat(isMade(Corpus.of((corpus) -> corpus.paths(file).documentStart("#")), bytes)).isTrue();
		assertThat(isMade(Corpus.of(file, file), bytes)).isTrue();
		assertThat(isMade(Corpus.of(Files.copy(file, this.directory.resolve("a.txt"))), bytes)).isTrue();
		try (Tokenizer learned = Tokenizer.train(Corpus.of(write("b.txt", "ab".repeat(50))), 260)) {
			assertThat(isMade(Corpus.of(file), learned)).isTrue();
			assertThat(isMade(Corpus.of(file), learned)).isFalse();
		}
		Path elsewhere = Files.createDirectory(this.directory.resolve("elsewhere")).resolve("b.jsonl");
		assertThat(isMade(Corpus.of(Files.copy(file, elsewhere)), bytes)).isFalse();
		Files.writeString(file, Files.readString(file).replace("defg", "defh"));
		assertThat(isMade(Corpus.of(file), bytes)).isTrue();
	}

	@Test
	void anIdTakesTwoBytesOrFour() throws IOException {
		Corpus corpus = Corpus.of(write("a.txt", "w5 w65535 w5"));
		assertThat(isMade(corpus, new ByteTokenizer())).isTrue();
		Path file = files().get(0);
		// BOS, 12 characters, EOS, rounded up to a multiple of 8; two offsets
		assertThat(file).hasSize(96 + 32 + 16);
		Files.delete(file);
		for (int vocabulary : List.of(65_535, 65_536, 65_537)) {
			try (Tokenizer words = words(vocabulary)) {
				assertThat(isMade(corpus, words)).isTrue();
				int[] ids = words.encode("w5 w65535 w5");
				int width = (vocabulary <= 65_536) ? 2 : 4;
				assertThat(files().get(0)).hasSize(96 + ((ids.length + 2) * width + 7) / 8 * 8 + 16);
				try (TokenStore kept = this.cache.find(corpus, words).orElseThrow()) {
					int[] document = TokenStoreTests.document(kept, 0);
					assertThat(Arrays.copyOfRange(document, 1, document.length - 1)).isEqualTo(ids);
					assertThat(IntStream.of(document).anyMatch((id) -> id == 65_535)).isEqualTo(vocabulary > 65_535);
				}
			}
			Files.delete(files().get(0));
		}
	}

	/** As SentencePiece makes them for many languages. */
	private Tokenizer words(int vocabulary) throws IOException {
		String metaspace = "{\"type\":\"Metaspace\",\"replacement\":\"\u2581\",\"prepend_scheme\":\"always\",\"split\":true}";
		StringBuilder json = new StringBuilder("{\"pre_tokenizer\":" + metaspace + ",\"decoder\":" + metaspace
				+ ",\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"byte_fallback\":false,"
				+ "\"vocab\":[[\"<unk>\",0],[\"<s>\",0],[\"</s>\",0],[\"<pad>\",0]");
		IntStream.range(4, vocabulary).forEach((id) -> json.append(",[\"\u2581w").append(id).append("\",-9.5]"));
		return Tokenizer.load(write("tokenizer.json", json + "]}}"));
	}

	@Test
	void aFileThatWasCutShortIsMadeAgain() throws IOException {
		Corpus corpus = Corpus.of(write("a.jsonl", LINES));
		isMade(corpus, new ByteTokenizer());
		byte[] whole = Files.readAllBytes(files().get(0));
		for (int length = 0; length < whole.length; length++) {
			Files.write(files().get(0), Arrays.copyOf(whole, length));
			assertThat(this.cache.find(corpus, new ByteTokenizer())).as("%d bytes", length).isEmpty();
		}
		Files.write(files().get(0), Arrays.copyOf(whole, whole.length + 1));
		assertThat(this.cache.find(corpus, new ByteTokenizer())).isEmpty();
		assertThat(isMade(corpus, new ByteTokenizer())).isTrue();
		assertThat(files().get(0)).hasBinaryContent(whole);
	}

	@Test
	void aFileWithOneBitFlippedIsMadeAgain() throws IOException {
		Corpus corpus = Corpus.of(write("a.jsonl", LINES));
		isMade(corpus, new ByteTokenizer());
		byte[] whole = Files.readAllBytes(files().get(0));
		for (int i = 0; i < whole.length; i++) {
			byte[] flipped = whole.clone();
			flipped[i] ^= (byte) (1 << i % 8);
			Files.write(files().get(0), flipped);
			assertThat(this.cache.find(corpus, new ByteTokenizer())).as("byte %d", i).isEmpty();
		}
		assertThat(isMade(corpus, new ByteTokenizer())).isTrue();
		assertThat(files().get(0)).hasBinaryContent(whole);
	}

	/** Reading beyond the mapped part would end the process on some systems. */
	@Test
	void aFileMadeOnPurposeLeadsNowhere() throws IOException {
		Corpus corpus = Corpus.of(write("a.jsonl", LINES));
		isMade(corpus, new ByteTokenizer());
		byte[] whole = Files.readAllBytes(files().get(0));
		int offsets = whole.length - 3 * Long.BYTES - 2 * Integer.BYTES;
		assertRefused(corpus, whole, (bytes) -> bytes.putLong(offsets, 1));
		assertRefused(corpus, whole, (bytes) -> bytes.putLong(offsets + 8, -1));
		assertRefused(corpus, whole, (bytes) -> bytes.putLong(offsets + 8, 1L << 40));
		assertRefused(corpus, whole, (bytes) -> bytes.putLong(offsets + 16, 1L << 40));
		assertRefused(corpus, whole, (bytes) -> bytes.putInt(offsets + 24, -1));
		assertRefused(corpus, whole, (bytes) -> bytes.putInt(offsets + 24, 6));
		assertRefused(corpus, whole, (bytes) -> bytes.putLong(16, Long.MAX_VALUE));
		assertRefused(corpus, whole, (bytes) -> bytes.putLong(24, Long.MAX_VALUE));
		assertRefused(corpus, whole, (bytes) -> bytes.putInt(8, 3));
	}

	private void assertRefused(Corpus corpus, byte[] whole, Consumer<ByteBuffer> change) throws IOException {
		ByteBuffer bytes = ByteBuffer.wrap(whole.clone()).order(ByteOrder.LITTLE_ENDIAN);
		change.accept(bytes);
		Files.write(files().get(0), bytes.array());
		try (FileChannel channel = FileChannel.open(files().get(0), StandardOpenOption.READ,
				StandardOpenOption.WRITE)) {
			channel.write(ByteBuffer.wrap(TokenFile.contentDigest(channel, bytes.array())), 64);
		}
		assertThat(this.cache.find(corpus, new ByteTokenizer())).isEmpty();
	}

	@Test
	void itsOwnerAloneReadsIt() throws IOException {
		isMade(Corpus.of(write("a.txt", "private")), new ByteTokenizer());
		assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(files().get(0)))).isEqualTo("rw-------");
	}

	@Test
	void aCorpusThatChangesMeanwhileIsRefusedAndNothingIsLeft() throws IOException {
		Path file = write("a.txt", "one");
		assertInvalid(() -> this.cache.get(Corpus.of(file), new ByteTokenizer(), (bytes, ofBytes, made) -> {
			try {
				Files.writeString(file, "two");
			}
			catch (IOException ex) {
				throw new IllegalStateException(ex);
			}
		})).contains("changed while");
		assertThat(files()).isEmpty();
	}

	@Test
	void withoutTextNothingIsLeft() throws IOException {
		Path file = write("a.txt", "");
		assertInvalid(() -> isMade(Corpus.of(file), new ByteTokenizer())).contains("no text");
		assertThat(files()).isEmpty();
	}

	@Test
	void whereNothingCanBeKeptIsSaid() throws IOException {
		write("model", "");
		assertInvalid(() -> isMade(Corpus.of(write("a.txt", "x")), new ByteTokenizer())).contains("model/tokens",
				"another directory");
	}

	@Test
	void anInterruptEndsTheMakingAndLeavesNothing() throws IOException {
		Corpus corpus = Corpus.of(write("a.txt", "lorem ipsum\n".repeat(500_000)));
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> this.cache.get(corpus, new ByteTokenizer(),
					(bytes, ofBytes, made) -> Thread.currentThread().interrupt()))
			.withCauseInstanceOf(ClosedByInterruptException.class);
		assertThat(Thread.interrupted()).isTrue();
		assertThat(files()).isEmpty();
		assertThat(isMade(corpus, new ByteTokenizer())).isTrue();
	}

	@Test
	void progressIsInBytesOfTheFilesAndInTokens() throws IOException {
		Corpus corpus = Corpus.of(write("a.txt", "lorem ipsum\n".repeat(100_000)), write("b.txt", "dolor"));
		List<long[]> progress = new ArrayList<>();
		this.cache
			.get(corpus, new ByteTokenizer(),
					(bytes, ofBytes, made) -> progress.add(new long[] { bytes, ofBytes, made }))
			.close();
		assertThat(progress).hasSizeGreaterThan(5);
		assertThat(progress).allMatch((each) -> each[1] == 1_200_005 && each[0] <= each[1] && each[0] > 0);
		assertThat(progress.get(progress.size() - 1)).containsExactly(1_200_005, 1_200_005, 1_200_009);
		assertThat(progress).isSortedAccordingTo((one, other) -> Long.compare(one[2], other[2]));
	}

	@Test
	void ofManyThreadsOneMakesTheTokens() throws IOException {
		Corpus corpus = Corpus.of(write("a.txt", "lorem ipsum\n".repeat(10_000)));
		AtomicInteger made = new AtomicInteger();
		assertThat(IntStream.range(0, 8).parallel().mapToObj((i) -> {
			AtomicBoolean here = new AtomicBoolean();
			try (TokenStore store = this.cache.get(corpus, new ByteTokenizer(), (b, o, t) -> here.set(true))) {
				made.addAndGet(here.get() ? 1 : 0);
				return store.digest();
			}
		}).distinct()).hasSize(1);
		assertThat(made).hasValue(1);
		assertThat(files()).hasSize(1);
	}

	/** One of three is killed in the middle; one of the others makes the tokens. */
	@Test
	void ofManyProcessesOneMakesTheTokens() throws Exception {
		Path file = write("a.txt", "lorem ipsum\n".repeat(2_000_000));
		Path logs = Files.createDirectory(this.directory.resolve("logs"));
		List<Process> processes = new ArrayList<>();
		for (int i = 0; i < 3; i++) {
			processes.add(new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
					"-Xmx128m", "-cp", System.getProperty("java.class.path"), Maker.class.getName(),
					this.tokens.toString(), file.toString())
				.redirectErrorStream(true)
				.redirectOutput(logs.resolve(i + ".log").toFile())
				.start());
		}
		try {
			while (Files.notExists(this.tokens) || names(".part").isEmpty()) {
				assertThat(processes).anyMatch(Process::isAlive);
				Thread.sleep(5);
			}
			int killed = -1;
			while (killed < 0) {
				for (int i = 0; i < 3 && killed < 0; i++) {
					killed = Files.readString(logs.resolve(i + ".log")).contains("making") ? i : -1;
				}
			}
			processes.get(killed).destroyForcibly();
			int made = 0;
			for (int i = 0; i < 3; i++) {
				assertThat(processes.get(i).waitFor(60, TimeUnit.SECONDS)).isTrue();
				String log = Files.readString(logs.resolve(i + ".log"));
				if (i != killed) {
					assertThat(processes.get(i).exitValue()).as(log).isZero();
					made += log.contains("making") ? 1 : 0;
				}
			}
			assertThat(made).isEqualTo(1);
			assertThat(names(".part")).isEmpty();
			assertThat(files()).hasSize(1);
			assertThat(isMade(Corpus.of(file), new ByteTokenizer())).isFalse();
		}
		finally {
			processes.forEach(Process::destroyForcibly);
		}
	}

	/** Another process. It waits a little, to be killed meanwhile. */
	static final class Maker {

		private Maker() {
		}

		public static void main(String[] args) {
			AtomicBoolean making = new AtomicBoolean();
			TokenCache.in(Path.of(args[0]))
				.get(Corpus.of(Path.of(args[1])), new ByteTokenizer(), (bytes, ofBytes, made) -> {
					if (!making.getAndSet(true)) {
						System.out.println("making");
						try {
							Thread.sleep(500);
						}
						catch (InterruptedException ex) {
							Thread.currentThread().interrupt();
						}
					}
				})
				.close();
		}

	}

	private boolean isMade(Corpus corpus, Tokenizer tokenizer) {
		AtomicBoolean made = new AtomicBoolean();
		this.cache.get(corpus, tokenizer, (bytes, ofBytes, tokens) -> made.set(true)).close();
		return made.get();
	}

	private List<Path> files() throws IOException {
		List<Path> files = names(".tokens");
		assertThat(names(".part")).isEmpty();
		return files;
	}

	private List<Path> names(String suffix) throws IOException {
		try (Stream<Path> files = Files.list(this.tokens)) {
			return files.filter((file) -> file.toString().endsWith(suffix)).toList();
		}
	}

	private Path write(String name, String content) throws IOException {
		return Files.writeString(this.directory.resolve(name), content);
	}

}

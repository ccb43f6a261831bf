package io.calm.text;

import java.io.IOException;
import java.net.URISyntaxException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

import static io.calm.text.CorpusTests.documents;
import static io.calm.text.TokenizerTests.assertInvalid;
import static org.assertj.core.api.Assertions.assertThat;

/** Files that pyarrow and zstd wrote: {@code corpora/write-corpora.py}. */
class CorpusFilesTests {

	private static final int ROWS = 300;

	private final Path directory;

	CorpusFilesTests(@TempDir Path directory) {
		this.directory = directory;
	}

	@ParameterizedTest
	@ValueSource(strings = { "plain", "required", "dictionary-full" })
	void rowsAreDocuments(String name) {
		assertThat(documents(corpus(name + ".parquet"))).isEqualTo(texts(ROWS));
	}

	@ParameterizedTest
	@ValueSource(strings = { "dictionary", "dictionary-type", "version-2-required" })
	void textsMayLieInDictionaries(String name) {
		assertThat(documents(corpus(name + ".parquet")))
			.isEqualTo(IntStream.range(0, ROWS).mapToObj((row) -> text(row % 20)).toList());
	}

	@ParameterizedTest
	@ValueSource(strings = { "nulls", "version-2", "version-2-plain" })
	void rowsWithoutTextAreLeftOut(String name) {
		assertThat(documents(corpus(name + ".parquet"))).isEqualTo(
				IntStream.range(0, ROWS).filter((row) -> row % 3 != 0).mapToObj(CorpusFilesTests::text).toList());
	}

	@Test
	void emptyFilesAndTextsAreNoDocuments() {
		assertThat(
				documents(Corpus.of(file("no-rows.parquet"), file("all-nulls.parquet"), file("empty-texts.parquet"))))
			.containsExactly("one");
		assertInvalid(() -> documents(corpus("no-rows.parquet"))).contains("no-rows.parquet", "no text");
		assertInvalid(() -> documents(corpus("all-nulls.parquet"))).contains("all-nulls.parquet", "no text");
	}

	@Test
	void theColumnHasAName() {
		assertThat(documents(Corpus.of((corpus) -> corpus.paths(file("nulls.parquet")).parquetColumn("other"))))
			.hasSize(ROWS)
			.containsOnly("other");
		assertInvalid(() -> documents(Corpus.of((corpus) -> corpus.paths(file("nulls.parquet")).parquetColumn("body"))))
			.contains("nulls.parquet", "no column \"body\"", "parquetColumn", "id, nested, text, other");
		assertInvalid(
				() -> documents(Corpus.of((corpus) -> corpus.paths(file("nulls.parquet")).parquetColumn("nested"))))
			.contains("column \"nested\" is a nested column");
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', textBlock = """
			list   | is a nested column
			struct | is a nested column
			number | holds no strings but INT64
			bytes  | holds no strings but BYTE_ARRAY
			brotli | is compressed with BROTLI
			delta  | is encoded as DELTA_BYTE_ARRAY
			""")
	void whatCannotBeReadIsRefused(String name, String problem) {
		assertInvalid(() -> documents(corpus(name + ".parquet"))).contains(name + ".parquet, column \"text\"", problem);
	}

	@Test
	void whatIsNoParquetFileIsRefused() throws IOException {
		for (byte[] content : List.of(new byte[0], "text".getBytes(), "PAR1 and so on PAR1".getBytes())) {
			Path file = Files.write(this.directory.resolve("a.parquet"), content);
			assertInvalid(() -> documents(Corpus.of(file))).contains("a.parquet cannot be read", "Parquet");
		}
	}

	/** Memory that is asked for by the file, not found in it, would end the test. */
	@ParameterizedTest
	@ValueSource(strings = { "dictionary", "version-2", "required", "dictionary-full", "version-2-plain" })
	void aDamagedFileIsReadOrRefused(String name) throws IOException {
		byte[] whole = Files.readAllBytes(file(name + ".parquet"));
		Random random = new Random(3);
		for (int i = 0; i < 200; i++) {
			byte[] damaged = (i % 10 == 0) ? Arrays.copyOf(whole, random.nextInt(whole.length)) : whole.clone();
			for (int change = i % 4; change > 0 && damaged.length > 0; change--) {
				// the headers lie at the end, those of pages are small
				int end = damaged.length - 1 - random.nextInt(Math.min(damaged.length, 3000));
				damaged[(i % 2 == 0) ? end : random.nextInt(damaged.length)] = (byte) random.nextInt();
			}
			Path file = Files.write(this.directory.resolve("a.parquet"), damaged);
			try {
				documents(Corpus.of(file));
			}
			catch (InvalidInputException ex) {
				assertThat(ex.getMessage()).contains("a.parquet");
			}
		}
	}

	/** A page that says that it is large has to be. */
	@Test
	void sizesAreChecked() throws IOException {
		byte[] whole = Files.readAllBytes(file("plain.parquet"));
		ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).putInt(whole.length - 8, Integer.MAX_VALUE);
		Path file = Files.write(this.directory.resolve("a.parquet"), whole);
		assertInvalid(() -> documents(Corpus.of(file))).contains("its footer has 2147483647 bytes");
	}

	@Test
	void zstdFilesAreRead() {
		assertThat(documents(corpus("lines.txt.zst"))).containsExactly(String.join("", texts(ROWS)));
		assertThat(documents(corpus("lines.jsonl.zst"))).hasSize(ROWS).startsWith("line 0").endsWith("line 299");
	}

	@Test
	void brokenZstdFilesAreRefused() throws IOException {
		assertInvalid(() -> documents(corpus("window.txt.zst"))).contains("window.txt.zst", "128 MiB");
		byte[] whole = Files.readAllBytes(file("lines.txt.zst"));
		Path cut = Files.write(this.directory.resolve("a.txt.zst"), Arrays.copyOf(whole, whole.length - 20));
		assertInvalid(() -> documents(Corpus.of(cut))).contains("a.txt.zst, line ", "complete");
		whole[200] ^= 1;
		Path flipped = Files.write(this.directory.resolve("b.txt.zst"), whole);
		assertInvalid(() -> documents(Corpus.of(flipped))).contains("b.txt.zst, line ");
		Path plain = Files.writeString(this.directory.resolve("c.txt.zst"), "not compressed");
		assertInvalid(() -> documents(Corpus.of(plain))).contains("c.txt.zst");
	}

	@Test
	void allFormsAreFoundInADirectory() throws IOException {
		for (String name : List.of("dictionary.parquet", "lines.jsonl.zst", "lines.txt.zst")) {
			Files.copy(file(name), this.directory.resolve(name));
		}
		Corpus corpus = Corpus.of(this.directory);
		assertThat(documents(corpus)).hasSize(2 * ROWS + 1);
		long size = 0;
		try (Corpus.Reading reading = corpus.read()) {
			while (reading.hasNext()) {
				reading.next();
				assertThat(reading.bytes()).isGreaterThanOrEqualTo(size);
				size = reading.bytes();
			}
		}
		long whole = 0;
		for (Path file : corpus.files()) {
			whole += Files.size(file);
		}
		assertThat(size).isEqualTo(whole);
	}

	private static List<String> texts(int rows) {
		return IntStream.range(0, rows).mapToObj(CorpusFilesTests::text).toList();
	}

	private static String text(int row) {
		return "row " + row + " " + "lorem ipsum ".repeat(row % 20) + "\u00e9\uD83E\uDD16\n";
	}

	private static Corpus corpus(String name) {
		return Corpus.of(file(name));
	}

	static Path file(String name) {
		try {
			return Path.of(CorpusFilesTests.class.getResource("corpora/" + name).toURI());
		}
		catch (URISyntaxException ex) {
			throw new IllegalArgumentException(ex);
		}
	}

}

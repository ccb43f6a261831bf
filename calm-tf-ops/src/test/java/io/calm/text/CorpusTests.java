package io.calm.text;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;

import com.google.gson.JsonPrimitive;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static io.calm.text.TokenizerTests.assertInvalid;
import static org.assertj.core.api.Assertions.assertThat;

class CorpusTests {

	private static final int PIECE = 1 << 16;

	private final Path directory;

	CorpusTests(@TempDir Path directory) {
		this.directory = directory;
	}

	@Test
	void aTextFileIsADocumentKeptAsItIs() throws IOException {
		String text = "one\r\ntwo\n\n\n three\rfour";
		assertThat(documents(Corpus.of(write("a.txt", text)))).containsExactly(text);
		assertThat(documents(Corpus.of(gzip("a.txt.gz", text)))).containsExactly(text);
	}

	@Test
	void aJsonLineIsADocument() throws IOException {
		String lines = "{\"text\":\"one\\ntwo \\u00e9\",\"id\":{\"a\":[1]}}\r\n\n{\"id\":2,\"text\":\"\"}\n{\"text\":\"🤖\"}";
		assertThat(documents(Corpus.of(write("a.jsonl", lines)))).containsExactly("one\ntwo é", "🤖");
		assertThat(documents(Corpus.of(gzip("a.jsonl.gz", lines)))).containsExactly("one\ntwo é", "🤖");
		Path other = write("b.jsonl", "{\"body\":\"x\",\"text\":7}");
		assertThat(documents(Corpus.of((corpus) -> corpus.paths(other).jsonField("body")))).containsExactly("x");
	}

	@Test
	void theNameOfTheFileTellsItsForm() throws IOException {
		Files.createDirectories(this.directory.resolve("all.jsonl.d"));
		assertThat(documents(Corpus.of(write("all.jsonl.d/a.txt", "one")))).containsExactly("one");
	}

	@Test
	void aByteOrderMarkBeforeJsonIsNoError() throws IOException {
		assertThat(documents(Corpus.of(write("a.jsonl", "\uFEFF{\"text\":\"x\"}")))).containsExactly("x");
	}

	@Test
	void directoriesAreReadInOrderOfNames() throws IOException {
		Files.createDirectories(this.directory.resolve("d/c"));
		write("d/b.txt", "2");
		write("d/a.jsonl", "{\"text\":\"1\"}");
		gzip("d/c/z.txt.gz", "3");
		write("d/c/ignored.md", "x");
		write("d/empty.txt", "");
		Path more = write("0.txt", "4");
		assertThat(documents(Corpus.of(this.directory.resolve("d"), more))).containsExactly("1", "2", "3", "4");
	}

	@Test
	void hiddenFilesAreLeftOutUnlessTheyAreNamed() throws IOException {
		Path checkpoints = Files.createDirectories(this.directory.resolve(".d/c/.ipynb_checkpoints"));
		write(".d/a.txt", "1");
		write(".d/._a.txt", "2");
		Path named = write(".d/c/.ipynb_checkpoints/a-checkpoint.txt", "3");
		assertThat(documents(Corpus.of(this.directory.resolve(".d")))).containsExactly("1");
		assertThat(documents(Corpus.of(named, checkpoints))).containsExactly("3", "3");
		Files.createDirectories(this.directory.resolve("e/.f"));
		write("e/.f/a.txt", "4");
		assertInvalid(() -> Corpus.of(this.directory.resolve("e"))).contains("no file of text");
	}

	@Test
	void aByteOrderMarkIsNoText() throws IOException {
		assertThat(documents(Corpus.of(write("a.txt", "\uFEFFone\uFEFF\n\uFEFF"))))
			.containsExactly("one\uFEFF\n\uFEFF");
		assertThat(documents(Corpus.of(gzip("a.txt.gz", "\uFEFFone")))).containsExactly("one");
		assertThat(documents(Corpus.of(write("a.txt", "\uFEFF"), write("b.txt", "1")))).containsExactly("1");
		Path file = write("c.txt", "\uFEFF# one\n# two");
		assertThat(documents(Corpus.of((corpus) -> corpus.paths(file).documentStart("# .*"))))
			.containsExactly("# one\n", "# two");
		byte[] line = "\uFEFFone\n\u00E9".getBytes(StandardCharsets.UTF_8);
		Files.write(file, Arrays.copyOf(line, line.length - 1));
		assertInvalid(() -> pieces(Corpus.of(file))).contains("c.txt, line 2", "UTF-8");
		Files.write(file, Arrays.copyOf(line, 2));
		assertInvalid(() -> pieces(Corpus.of(file))).contains("c.txt, line 1", "UTF-8");
	}

	@Test
	void aPatternDividesTextIntoDocuments() throws IOException {
		String text = "before\n = A = \r\n = = B = = \n = C = \n = D = ";
		Path file = write("a.txt", text);
		assertThat(documents(Corpus.of((corpus) -> corpus.paths(file).documentStart(" = [^=].* = "))))
			.containsExactly("before\n", " = A = \r\n = = B = = \n", " = C = \n", " = D = ");
		assertInvalid(() -> Corpus.of((corpus) -> corpus.paths(file).documentStart("("))).contains("documentStart");
	}

	@Test
	void longDocumentsComeInPiecesCutAtLineEnds() throws IOException {
		Random random = new Random(1);
		StringBuilder text = new StringBuilder();
		while (text.length() < 5 * PIECE) {
			text.append("🤖é".repeat(random.nextInt(100))).append("\n");
		}
		Path asText = write("a.txt", text + "end");
		Path asJson = write("b.jsonl", "{\"text\":" + new JsonPrimitive(text + "end") + "}");
		for (Path file : List.of(asText, asJson)) {
			List<TextPiece> pieces = pieces(Corpus.of(file));
			assertThat(pieces).hasSizeBetween(5, 8);
			assertThat(pieces).allMatch((piece) -> piece.text().length() <= PIECE);
			assertThat(pieces.subList(0, pieces.size() - 1))
				.allMatch((piece) -> piece.text().endsWith("\n") && !piece.endsDocument());
			assertThat(pieces.get(pieces.size() - 1).endsDocument()).isTrue();
			assertThat(documents(Corpus.of(file))).containsExactly(text + "end");
		}
	}

	@Test
	void longLinesAreNeverCutInsideACharacter() throws IOException {
		for (String start : List.of("", "a", "aa", "aaa")) {
			String text = start + "🤖é世".repeat(40_000);
			Path asText = write("a.txt", text);
			Path asJson = write("b.jsonl", "{\"text\":\"" + text + "\"}");
			for (Path file : List.of(asText, asJson)) {
				List<TextPiece> pieces = pieces(Corpus.of((corpus) -> corpus.paths(file).documentStart("[^a].*")));
				assertThat(pieces).hasSizeGreaterThan(2);
				assertThat(pieces).allMatch(
						(piece) -> piece.text().length() <= PIECE && !Character.isLowSurrogate(piece.text().charAt(0)));
				assertThat(pieces.stream().filter(TextPiece::endsDocument)).hasSize(1);
				assertThat(documents(Corpus.of(file))).containsExactly(text);
			}
		}
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
			{"text":"private"        | not a JSON object
			["private"]              | not a JSON object
			private                  | not a JSON object
			{"text":"private"} 7     | not a JSON object
			{"other":"private"}      | no field "text"
			{"text":["private"]}     | not a string
			{"text":null}            | not a string
			{'text':'private'}       | not a JSON object
			""")
	void brokenJsonIsReportedWithItsLineAndWithoutTheText(String line, String problem) throws IOException {
		Path file = write("a.jsonl", "{\"text\":\"x\"}\n\n" + line + "\n{\"text\":\"y\"}\n");
		assertInvalid(() -> pieces(Corpus.of(file))).contains("a.jsonl, line 3", problem).doesNotContain("private");
	}

	@Test
	void promptsHaveAnswers() throws IOException {
		Path file = write("a.jsonl", """
				{"prompt": "Two and two? ", "completion": "four", "id": 7}
				{"prompt": [{"role": "system", "content": "Add."}, {"role": "user", "content": "1 and 1"}],\
				 "completion": [{"role": "assistant", "content": "two", "weight": 1}]}
				{"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"},\
				 {"role": "user", "content": "Bye"}, {"content": "", "role": "assistant"}]}
				{"completion": "", "prompt": ""}
				{"text": "plain", "prompt": 1, "messages": "no"}
				""");
		assertThat(pieces(Corpus.of(file))).containsExactly(new TextPiece("Two and two? ", "four", true),
				new TextPiece("Add.\n1 and 1", "two", true), new TextPiece("Hello", "Hi", true),
				new TextPiece("Hello\nHi\nBye", "", true), new TextPiece("plain", true));
	}

	@ParameterizedTest
	@CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
			{"prompt":"private"}                                     | has a "prompt", but no "completion"
			{"completion":"private"}                                 | has a "completion", but no "prompt"
			{"prompt":"private","completion":7}                      | "completion" is not a list of messages
			{"messages":"private"}                                   | "messages" is not a list of messages
			{"messages":["private"]}                                 | "messages" is not a list of messages
			{"messages":[{"role":"assistant","content":["private"]}]} | "messages" is not a list of messages
			{"messages":[{"role":"user","content":"private"}]}       | none with the role "assistant"
			{"messages":[{"role":"assistant","content":"private"}    | not a JSON object
			""")
	void brokenPromptsAreReportedWithTheirLineAndWithoutTheText(String line, String problem) throws IOException {
		Path file = write("a.jsonl", "{\"text\":\"x\"}\n" + line + "\n");
		assertInvalid(() -> pieces(Corpus.of(file))).contains("a.jsonl, line 2", problem).doesNotContain("private");
	}

	/** Each answer has all before it in its prompt: 64 Mi characters of 20,000 lines. */
	@Test
	void aConversationOfTooManyAnswersIsReported() throws IOException {
		String turn = "{\"role\":\"assistant\",\"content\":\"" + "a".repeat(400) + "\"}";
		Path file = write("a.jsonl", "{\"messages\":[" + (turn + ",").repeat(20_000) + turn + "]}");
		assertInvalid(() -> pieces(Corpus.of(file))).contains("a.jsonl, line 1", "64 Mi characters");
	}

	@Test
	void bytesThatAreNotUtf8AreReportedWithTheirLine() throws IOException {
		Path file = this.directory.resolve("a.txt");
		Files.write(file, "one\ntwo\nGr\u00FC\u00DFe\nfour".getBytes(StandardCharsets.ISO_8859_1));
		assertInvalid(() -> pieces(Corpus.of(file))).contains("a.txt, line 3", "UTF-8", "iconv");
		byte[] cutOff = "one\n🤖".getBytes(StandardCharsets.UTF_8);
		Files.write(file, Arrays.copyOf(cutOff, cutOff.length - 1));
		assertInvalid(() -> pieces(Corpus.of(file))).contains("a.txt, line 2", "UTF-8");
	}

	@Test
	void brokenGzipFilesAreReported() throws IOException {
		Path plain = write("a.txt.gz", "not compressed at all");
		assertInvalid(() -> pieces(Corpus.of(plain))).contains("a.txt.gz", "gzip");
		Path cutOff = gzip("b.txt.gz", TokenizerTests.randomText(new Random(1), 10_000));
		byte[] bytes = Files.readAllBytes(cutOff);
		Files.write(cutOff, Arrays.copyOf(bytes, bytes.length / 2));
		assertInvalid(() -> pieces(Corpus.of(cutOff))).contains("b.txt.gz, line ", "gzip");
		bytes[bytes.length / 2] ^= 0x55;
		bytes[bytes.length - 5] ^= 0x55;
		Files.write(cutOff, bytes);
		assertInvalid(() -> pieces(Corpus.of(cutOff))).contains("b.txt.gz, line ");
	}

	@Test
	void aLineThatIsTooLongIsReported() throws IOException {
		Path file = this.directory.resolve("a.jsonl.gz");
		try (GZIPOutputStream out = new GZIPOutputStream(Files.newOutputStream(file))) {
			out.write("{\"text\":\"x\"}\n{\"text\":\"".getBytes(StandardCharsets.UTF_8));
			byte[] part = "a".repeat(1 << 20).getBytes(StandardCharsets.UTF_8);
			for (int i = 0; i < 64; i++) {
				out.write(part);
			}
			out.write("\"}\n".getBytes(StandardCharsets.UTF_8));
		}
		assertInvalid(() -> pieces(Corpus.of(file))).contains("a.jsonl.gz, line 2", "64 MiB");
	}

	@Test
	void aLineMayBeLong() throws IOException {
		String text = "a".repeat(20 << 20);
		assertThat(documents(Corpus.of(write("a.jsonl", "{\"text\":\"" + text + "\"}")))).containsExactly(text);
	}

	@Test
	void missingUnknownAndEmptyAreReported() throws IOException {
		assertInvalid(() -> Corpus.of(this.directory.resolve("no.txt"))).contains("no.txt", "no such file");
		assertInvalid(() -> Corpus.of(write("a.pdf", "x"))).contains("a.pdf", ".jsonl");
		assertInvalid(() -> Corpus.of(Files.createDirectory(this.directory.resolve("none")))).contains("none");
		assertInvalid(() -> Corpus.of()).contains("corpus");
		assertInvalid(() -> pieces(Corpus.of(write("empty.txt", "")))).contains("empty.txt", "no text");
		assertInvalid(() -> pieces(Corpus.of(write("empty.jsonl", "{\"text\":\"\"}\n")))).contains("empty.jsonl");
	}

	@Test
	void aPieceDoesNotShowItsText() {
		assertThat(new TextPiece("private", true)).hasToString("TextPiece[7 characters, endsDocument=true]");
	}

	static List<String> documents(Corpus corpus) {
		List<String> documents = new ArrayList<>();
		StringBuilder document = new StringBuilder();
		for (TextPiece piece : pieces(corpus)) {
			document.append(piece.text());
			if (piece.endsDocument()) {
				documents.add(document.toString());
				document.setLength(0);
			}
		}
		assertThat(document).as("text behind the last document").isEmpty();
		return documents;
	}

	private static List<TextPiece> pieces(Corpus corpus) {
		try (Stream<TextPiece> pieces = corpus.pieces()) {
			return pieces.toList();
		}
	}

	private Path write(String name, String content) throws IOException {
		return Files.writeString(this.directory.resolve(name), content);
	}

	private Path gzip(String name, String content) throws IOException {
		ByteArrayOutputStream bytes = new ByteArrayOutputStream();
		try (GZIPOutputStream out = new GZIPOutputStream(bytes)) {
			out.write(content.getBytes(StandardCharsets.UTF_8));
		}
		return Files.write(this.directory.resolve(name), bytes.toByteArray());
	}

}

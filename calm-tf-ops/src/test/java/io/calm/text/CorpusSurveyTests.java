package io.calm.text;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicLong;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static io.calm.text.TokenizerTests.assertInvalid;
import static org.assertj.core.api.Assertions.assertThat;

class CorpusSurveyTests {

	private final Path directory;

	CorpusSurveyTests(@TempDir Path directory) {
		this.directory = directory;
	}

	@Test
	void documentsAreCountedAndMeasured() throws IOException {
		Path lines = write("a.jsonl", """
				{"text":"one"}
				{"text":"three"}
				{"prompt":"a","completion":"b"}
				{"text":""}
				""");
		Path text = write("b.txt", "lorem ipsum\n".repeat(20_000));
		AtomicLong told = new AtomicLong();
		CorpusSurvey survey = CorpusSurvey.of(Corpus.of(lines, text), (bytes, ofBytes) -> {
			assertThat(bytes).isBetween(told.get(), ofBytes);
			told.set(bytes);
		});
		assertThat(survey.files()).isEqualTo(2);
		assertThat(survey.bytes()).isEqualTo(Files.size(lines) + 240_000).isEqualTo(told.get());
		assertThat(survey.lengths()).containsExactly(3, 5, 2, 240_000);
		assertThat(survey.duplicates()).isZero();
		assertThat(survey.faultCount()).isZero();
	}

	@Test
	void documentsThatAreTheSameAreDuplicatesWhereverTheyLie() throws IOException {
		String longText = "lorem ipsum ".repeat(20_000);
		Path lines = write("a.jsonl", ("{\"text\":\"one\"}\n{\"text\":\"eno\"}\n{\"text\":\"one\"}\n"
				+ "{\"prompt\":\"ab\",\"completion\":\"c\"}\n{\"prompt\":\"a\",\"completion\":\"bc\"}\n{\"text\":\"abc\"}\n"
				+ "{\"prompt\":\"ab\",\"completion\":\"c\"}\n{\"text\":\"" + longText + "\"}\n"));
		Corpus corpus = Corpus.of(lines, write("b.txt", longText), write("c.txt", longText + "!"),
				write("d.txt", "one"));
		assertThat(CorpusSurvey.of(corpus, (bytes, ofBytes) -> {
		}).duplicates()).isEqualTo(4);
	}

	@Test
	void theLongestLinesHaveTheirPlaces() throws IOException {
		StringBuilder text = new StringBuilder();
		for (int i = 1; i <= 20; i++) {
			text.append("\u00E9".repeat((i * 7) % 20)).append('\n');
		}
		Path first = write("a.txt", text.toString());
		Path second = write("b.txt", "x\n" + "y".repeat(200_000) + "\nz");
		CorpusSurvey survey = CorpusSurvey.of(Corpus.of(first, second), (bytes, ofBytes) -> {
		});
		assertThat(survey.longestLines()).containsExactly(new CorpusSurvey.Line(second, 2, 200_001),
				new CorpusSurvey.Line(first, 17, 39), new CorpusSurvey.Line(first, 14, 37),
				new CorpusSurvey.Line(first, 11, 35), new CorpusSurvey.Line(first, 8, 33));
	}

	@Test
	void whatCannotBeReadIsListedAndTheRestIsRead() throws IOException {
		Path latin = this.directory.resolve("a.txt");
		Files.write(latin, "one\nGr\u00FC\u00DFe private\ntwo\n\u00E9".getBytes(StandardCharsets.ISO_8859_1));
		Path json = write("b.jsonl", "{\"text\":\"x\"}\nprivate\n{\"text\":7}\n{\"text\":\"y\"}\n");
		byte[] packed = Files.readAllBytes(CorpusFilesTests.file("lines.txt.zst"));
		Path cut = Files.write(this.directory.resolve("c.txt.zst"), Arrays.copyOf(packed, packed.length - 20));
		Path last = write("d.txt", "z");
		Corpus corpus = Corpus.of(latin, json, cut, CorpusFilesTests.file("list.parquet"), last);
		CorpusSurvey survey = CorpusSurvey.of(corpus, (bytes, ofBytes) -> {
		});
		assertThat(survey.faultCount()).isEqualTo(6);
		assertThat(survey.faults()).satisfiesExactly((fault) -> assertThat(fault).contains("a.txt, line 2", "UTF-8"),
				(fault) -> assertThat(fault).contains("a.txt, line 4", "UTF-8"),
				(fault) -> assertThat(fault).contains("b.jsonl, line 2", "not a JSON object"),
				(fault) -> assertThat(fault).contains("b.jsonl, line 3", "not a string"),
				(fault) -> assertThat(fault).contains("c.txt.zst, line "),
				(fault) -> assertThat(fault).contains("list.parquet", "nested"));
		assertThat(survey.faults().toString()).doesNotContain("private");
		// one of a.txt, two of b.jsonl, what could be read of c.txt.zst, one of d.txt
		assertThat(survey.lengths()).hasSize(5).startsWith(23, 1, 1).endsWith(1);
		assertInvalid(() -> CorpusTests.documents(corpus)).contains("a.txt, line 2");
	}

	@Test
	void manyFaultsAreCountedAndAFewListed() throws IOException {
		Path json = write("a.jsonl", "x\n".repeat(1000));
		CorpusSurvey survey = CorpusSurvey.of(Corpus.of(json), (bytes, ofBytes) -> {
		});
		// and that there is no text
		assertThat(survey.faultCount()).isEqualTo(1001);
		assertThat(survey.faults()).hasSize(20).startsWith(json + ", line 1 is not a JSON object");
		assertThat(survey.lengths()).isEmpty();
	}

	private Path write(String name, String content) throws IOException {
		return Files.writeString(this.directory.resolve(name), content);
	}

}

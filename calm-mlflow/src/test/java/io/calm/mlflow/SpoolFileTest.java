package io.calm.mlflow;

import java.io.IOException;
import java.lang.reflect.Field;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

import io.calm.input.InvalidInputException;
import io.calm.mlflow.SpoolEntry.Artifact;
import io.calm.mlflow.SpoolEntry.End;
import io.calm.mlflow.SpoolEntry.Metrics;
import io.calm.mlflow.SpoolEntry.Start;
import io.calm.mlflow.SpoolEntry.Training;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

class SpoolFileTest {

	private static final Training TRAINING = new Training(1, "key", 5, "Default", null, "a name", null,
			Map.of("team", "\u00e4 \"quoted\"\nline"));

	private static final Metrics STEP = new Metrics("autoencoder", 7, 1,
			Map.of("loss", 0.1, "nan", Double.NaN, "infinite", Double.NEGATIVE_INFINITY));

	private final Path directory;

	SpoolFileTest(@TempDir Path directory) {
		this.directory = directory;
	}

	private static List<SpoolEntry> entries(SpoolFile file) throws IOException {
		List<SpoolEntry> entries = new ArrayList<>();
		SpoolFile.Reader reader = file.reader();
		int before;
		do {
			before = entries.size();
			reader.next(entries);
		}
		while (entries.size() > before);
		return entries;
	}

	@Test
	void givesBackWhatItWasGiven() throws IOException {
		List<SpoolEntry> rest = List.of(new Start("autoencoder", 6, "/x", Map.of("seed", "1"), "corpus", "abc"), STEP,
				new Artifact("", 8, "notes.txt", "notes.txt"), new End("", 9, "FAILED", Map.of("calm.error", "why")));
		try (SpoolFile file = SpoolFile.create(this.directory, TRAINING)) {
			for (SpoolEntry entry : rest) {
				file.append(entry);
			}
			file.flush();
			assertThat(entries(file)).startsWith(TRAINING).endsWith(rest.toArray(SpoolEntry[]::new)).hasSize(5);
		}
	}

	@Test
	void linesAreAsDocumented() {
		assertThat(new Metrics("autoencoder", 7, 1, Map.of("loss", Double.NaN)).toLine()).isEqualTo(
				"{\"type\":\"metrics\",\"run\":\"autoencoder\",\"time\":7,\"step\":1,\"values\":{\"loss\":\"NaN\"}}");
	}

	@Test
	void halfALineDoesNotSpoilTheNext() throws IOException {
		Path path;
		try (SpoolFile file = SpoolFile.create(this.directory, TRAINING)) {
			path = file.path();
		}
		Files.writeString(path, "{\"type\":\"metrics\",\"run\":\"au", StandardOpenOption.APPEND);
		try (SpoolFile file = SpoolFile.open(path).orElseThrow()) {
			file.append(STEP);
			file.flush();
			assertThat(entries(file)).containsExactly(TRAINING, STEP);
		}
	}

	@Test
	void halfALineIsCutOffAndAWholeOneKept() throws IOException {
		Path path;
		try (SpoolFile file = SpoolFile.create(this.directory, TRAINING)) {
			path = file.path();
		}
		String before = Files.readString(path);
		Files.writeString(path, "{\"type\":\"metr".repeat(20_000), StandardOpenOption.APPEND);
		SpoolFile.open(path).orElseThrow().close();
		assertThat(path).content().isEqualTo(before);
		Files.writeString(path, STEP.toLine(), StandardOpenOption.APPEND);
		SpoolFile.open(path).orElseThrow().close();
		assertThat(path).content().isEqualTo(before + STEP.toLine() + "\n");
	}

	/** Whose disk is full from now on, but for some bytes. */
	private static FullDisk fill(SpoolFile file, long room) throws ReflectiveOperationException {
		Field channel = SpoolFile.class.getDeclaredField("channel");
		channel.setAccessible(true);
		FullDisk disk = new FullDisk((FileChannel) channel.get(file));
		disk.room = room;
		channel.set(file, disk);
		return disk;
	}

	@ParameterizedTest
	@ValueSource(ints = { 0, 20, 150, 70_000 })
	void afterAFullDiskTheNextIsWhole(int room) throws Exception {
		End end = new End("", 9, "FINISHED", Map.of());
		Start start = new Start("autoencoder", 6, "/x", Map.of("long", "x".repeat(60_000)), "corpus", "");
		try (SpoolFile file = SpoolFile.create(this.directory, TRAINING)) {
			FullDisk disk = fill(file, room);
			SpoolFile.Reader reader = file.reader();
			assertThat(reader.next()).isEqualTo(TRAINING.toLine());
			assertThatExceptionOfType(IOException.class).isThrownBy(() -> {
				file.append(STEP);
				file.append(start);
				file.append(start);
				file.flush();
			});
			assertThat(reader.next()).as("of a flush that failed").isNull();
			disk.room = Long.MAX_VALUE;
			file.append(end);
			file.flush();
			assertThat(SpoolEntry.parse(String.valueOf(reader.next()))).isEqualTo(end);
			assertThat(Files.readString(file.path())).isEqualTo(TRAINING.toLine() + "\n" + end.toLine() + "\n");
		}
	}

	@Test
	void textsAreTheOwnersOnly() throws IOException {
		Path spool = this.directory.resolve("spool");
		Files.writeString(this.directory.resolve("original"), "x");
		try (SpoolFile file = SpoolFile.create(spool, TRAINING)) {
			file.keep(this.directory.resolve("original"), "kept");
			assertThat(Files.getPosixFilePermissions(spool)).isEqualTo(PosixFilePermissions.fromString("rwx------"));
			assertThat(Files.getPosixFilePermissions(file.files()))
				.isEqualTo(PosixFilePermissions.fromString("rwx------"));
			assertThat(Files.getPosixFilePermissions(file.path()))
				.isEqualTo(PosixFilePermissions.fromString("rw-------"));
		}
	}

	@ParameterizedTest
	@ValueSource(strings = { "", "x", "nonsense", "{\"text\":\"x\"}", "{\"text\":\"x\"}\n",
			"{\"type\":\"training\",\"version\":1",
			"{\"type\":\"end\",\"run\":\"\",\"status\":\"FAILED\",\"tags\":{}}\n" })
	void whatIsNoSpoolIsNotTouched(String content) throws IOException {
		for (String name : List.of("x", "c.jsonl", "model.safetensors")) {
			Path directory = Files.createDirectory(this.directory.resolve("of-" + name));
			Path file = Files.writeString(directory.resolve(name), content);
			assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> SpoolFile.open(file))
				.withMessageContaining("is no spool of a training");
			assertThat(SpoolFile.find(directory, "/x")).isEmpty();
			assertThat(file).content().isEqualTo(content);
			assertThat(directory).isDirectoryContaining("glob:**/" + name);
			try (Stream<Path> all = Files.list(directory)) {
				assertThat(all).hasSize(1);
			}
		}
	}

	@ParameterizedTest
	@ValueSource(strings = { "", "nonsense", "[]", "{}", "{\"type\":1}", "{\"type\":\"unknown\"}",
			"{\"type\":\"metrics\"}", "{\"type\":\"metrics\",\"run\":\"a\",\"step\":\"x\",\"values\":{}}",
			"{\"type\":\"metrics\",\"run\":\"a\",\"values\":{\"loss\":\"x\"}}", "{\"type\":\"end\",\"run\":\"a\"}",
			"{\"type\":\"end\",\"run\":\"a\",\"status\":\"DONE\",\"tags\":{}}",
			"{\"type\":\"end\",\"run\":\"a\",\"status\":\"FAILED\",\"tags\":{\"a\":null}}",
			"{\"type\":\"metrics\",\"run\":\"a\",\"step\":1,\"values\":{\"loss\":null}}" })
	void linesThatCannotBeReadAreNone(String line) {
		assertThat(SpoolEntry.parse(line)).isNull();
	}

	@Test
	void readsWhatIsComplete() throws IOException {
		try (SpoolFile file = SpoolFile.create(this.directory, TRAINING)) {
			SpoolFile.Reader reader = file.reader();
			assertThat(reader.next()).isEqualTo(TRAINING.toLine());
			assertThat(reader.next()).isNull();
			file.append(STEP);
			assertThat(reader.next()).as("not flushed").isNull();
			file.flush();
			assertThat(SpoolEntry.parse(String.valueOf(reader.next()))).isEqualTo(STEP);
		}
	}

	@Test
	void readsLinesLongerThanItsBuffer() throws IOException {
		String value = "x".repeat(200_000);
		Start start = new Start("autoencoder", 6, "/x", Map.of("long", value), "corpus", "");
		try (SpoolFile file = SpoolFile.create(this.directory, TRAINING)) {
			file.append(start);
			file.append(STEP);
			file.flush();
			assertThat(entries(file)).containsExactly(TRAINING, start, STEP);
		}
	}

	@Test
	void portionsAreThoseOfARequest() throws IOException {
		try (SpoolFile file = SpoolFile.create(this.directory, TRAINING)) {
			for (int i = 0; i < 1000; i++) {
				file.append(STEP);
			}
			file.flush();
			SpoolFile.Reader reader = file.reader();
			List<SpoolEntry> portion = new ArrayList<>();
			assertThat(reader.next(portion)).isTrue();
			assertThat(portion).containsExactly(TRAINING);
			portion.clear();
			assertThat(reader.next(portion)).isTrue();
			assertThat(portion).hasSize(334);
		}
	}

	@Test
	void isOpenOnce() throws IOException {
		try (SpoolFile file = SpoolFile.create(this.directory, TRAINING)) {
			assertThat(SpoolFile.open(file.path())).isEmpty();
		}
	}

	@Test
	void isFoundByItsCheckpoints() throws IOException {
		for (String place : List.of("/one", "/two")) {
			try (SpoolFile file = SpoolFile.create(this.directory,
					new Training(1, place.substring(1), 5, "Default", null, null, null, Map.of()))) {
				file.append(new Start("autoencoder", 6, place, Map.of(), "corpus", ""));
			}
		}
		try (SpoolFile found = SpoolFile.find(this.directory, "/one").orElseThrow()) {
			assertThat(entries(found).get(0)).extracting("key").isEqualTo("one");
		}
		assertThat(SpoolFile.find(this.directory, "/three")).isEmpty();
	}

	@Test
	void keepsFilesThatAreReplaced() throws IOException {
		Path checkpoint = Files.createDirectories(this.directory.resolve("checkpoint/autoencoder"));
		Files.writeString(checkpoint.resolve("model.safetensors"), "old");
		try (SpoolFile file = SpoolFile.create(this.directory.resolve("spool"), TRAINING)) {
			assertThat(file.keep(this.directory.resolve("checkpoint"), "kept/1")).isTrue();
			Files.delete(checkpoint.resolve("model.safetensors"));
			assertThat(file.files().resolve("kept/1/autoencoder/model.safetensors")).hasContent("old");
			assertThat(file.keep(this.directory.resolve("none"), "kept/2")).isFalse();
			Files.writeString(checkpoint.resolve("model.safetensors"), "linked");
			Path link = Files.createSymbolicLink(this.directory.resolve("latest"), Path.of("checkpoint"));
			assertThat(file.keep(link, "kept/3")).isTrue();
			assertThat(file.files().resolve("kept/3/autoencoder/model.safetensors")).hasContent("linked");
			file.delete();
		}
		assertThat(this.directory.resolve("spool")).isEmptyDirectory();
	}

}

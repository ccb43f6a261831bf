package io.calm.checkpoint;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

class OutputLockTests {

	private static final int PROCESSES = 3;

	@Test
	void secondIsRefusedUntilTheFirstIsClosed(@TempDir Path directory) {
		Path output = directory.resolve("deep/model");
		try (OutputLock first = OutputLock.of(output)) {
			assertThat(first).isNotNull();
			assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> OutputLock.of(output))
				.withMessageContaining("another training");
		}
		assertThat(directory).isEmptyDirectory();
		OutputLock.of(output).close();
	}

	/** Whoever closes it deletes the file that others may have opened already. */
	@Test
	void oneProcessHoldsItAtATime(@TempDir Path directory) throws IOException, InterruptedException {
		List<Process> processes = new ArrayList<>();
		for (int i = 0; i < PROCESSES; i++) {
			processes.add(new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
					"-Xmx64m", "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"),
					Writer.class.getName(), directory.toString())
				.redirectErrorStream(true)
				.start());
		}
		for (Process process : processes) {
			assertThat(new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8)).isEqualTo("done");
			assertThat(process.waitFor()).isZero();
		}
	}

	/** Fails if somebody else writes while it holds the lock. */
	static final class Writer {

		private static final int TIMES = 2000;

		private Writer() {
		}

		public static void main(String[] arguments) throws IOException {
			Path output = Path.of(arguments[0]).resolve("model");
			for (int held = 0; held < TIMES;) {
				try (OutputLock lock = OutputLock.of(output)) {
					Files.delete(Files.createFile(output));
					held++;
				}
				catch (InvalidInputException ex) {
					Thread.onSpinWait();
				}
			}
			System.out.print("done");
		}

	}

}

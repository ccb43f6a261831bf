package io.calm.graph;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;

import static org.assertj.core.api.Assertions.assertThat;

/** A process that ends while a thread computes, as at Ctrl-C, does not crash. */
class ExitTest {

	/** Without what prevents it, about every second process crashes. */
	private static final int PROCESSES = 6;

	private static final int STATUS = 3;

	@Test
	void endsWithItsOwnStatus(@TempDir Path directory) throws IOException, InterruptedException {
		List<Process> processes = new ArrayList<>();
		for (int i = 0; i < PROCESSES; i++) {
			processes.add(new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
					"-Xmx64m", "-XX:TieredStopAtLevel=1", "-XX:ErrorFile=" + directory.resolve("crash-%p.log"), "-cp",
					System.getProperty("java.class.path"), Computing.class.getName())
				.redirectErrorStream(true)
				.redirectOutput(ProcessBuilder.Redirect.DISCARD)
				.start());
		}
		for (Process process : processes) {
			assertThat(process.waitFor()).isEqualTo(STATUS);
		}
		try (Stream<Path> crashes = Files.list(directory)) {
			assertThat(crashes).isEmpty();
		}
	}

	/** Ends in the middle of many matrix products. */
	static final class Computing {

		private Computing() {
		}

		public static void main(String[] arguments) throws InterruptedException {
			int size = 512;
			ProgramBuilder builder = new ProgramBuilder(ProgramOptions.DEFAULT);
			Input<TFloat32, float[]> factor = builder.floats(size, size);
			Operand<TFloat32> product = factor.value();
			for (int i = 0; i < 100; i++) {
				product = builder.network().tf().linalg.matMul(product, factor.value());
			}
			Fetch<float[]> fetch = Fetch.floats(product);
			EntryPoint entryPoint = builder.entryPoint().fetching(fetch);
			Program program = builder.build();
			CountDownLatch warm = new CountDownLatch(3);
			Thread thread = new Thread(() -> {
				while (true) {
					try (Call call = program.call(entryPoint).feed(factor, new float[size * size])) {
						call.run();
					}
					warm.countDown();
				}
			});
			thread.setDaemon(true);
			thread.start();
			warm.await();
			System.exit(STATUS);
		}

	}

}

package io.calm;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.Writer;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URISyntaxException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;

import io.calm.cluster.Workers;
import io.calm.model.TinyModel;
import io.calm.training.Phase;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingStart;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledIfSystemProperty;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * What two workers do before their first step, once they have made tokens of a text and
 * when they start again. The times are printed, not asserted.
 */
@EnabledOnOs(OS.LINUX)
@EnabledIfSystemProperty(named = "calm.long", matches = "true", disabledReason = "tokenizes 64 MB")
class SecondStartTest {

	private static final long TEXT = 64_000_000;

	private static final String TOKENIZED = "tokenized";

	private final Path directory;

	SecondStartTest(@TempDir Path directory) {
		this.directory = directory;
	}

	@Test
	void makesTokensOnce() throws Exception {
		write(this.directory.resolve("small.txt"), 100_000);
		write(this.directory.resolve("text.txt"), TEXT);
		assertThat(train("small.txt", "small")).contains(TOKENIZED);
		List<String> small = train("small.txt", "small-again");
		List<String> first = train("text.txt", "first");
		List<String> second = train("text.txt", "second");
		System.out.println("100 KB, tokens kept: " + small);
		System.out.println("64 MB, first start: " + first);
		System.out.println("64 MB, tokens kept: " + second);
		assertThat(first).contains(TOKENIZED);
		assertThat(second).doesNotContain(TOKENIZED).anyMatch((line) -> line.startsWith("first step"));
	}

	private static void write(Path file, long size) throws IOException {
		Random random = new Random(1);
		try (Writer writer = Files.newBufferedWriter(file)) {
			for (long written = 0; written < size; written += 8) {
				writer
					.write(Long.toString(random.nextLong(1L << 35, 1L << 36), 36) + ((written % 80 == 0) ? '\n' : ' '));
			}
		}
	}

	/** What the first worker says. */
	private List<String> train(String text, String output) throws Exception {
		List<String> addresses = addresses();
		Process other = start(new Workers(addresses, 1), text, output);
		Process first = start(new Workers(addresses, 0), text, output);
		List<String> said = new ArrayList<>();
		try (BufferedReader lines = first.inputReader(StandardCharsets.UTF_8)) {
			lines.lines().forEach(said::add);
		}
		finally {
			// it has ended, or is not needed any more
			other.waitFor();
			first.destroyForcibly();
		}
		assertThat(first.waitFor()).as(String.join("\n", said)).isZero();
		return said;
	}

	private Process start(Workers workers, String text, String output) throws IOException {
		ProcessBuilder builder = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
				"-Xmx512m", "-cp", System.getProperty("java.class.path"), Main.class.getName(),
				this.directory.resolve(text).toString(), this.directory.resolve(output).toString());
		builder.redirectError(ProcessBuilder.Redirect.DISCARD);
		if (!workers.isFirst()) {
			builder.redirectOutput(ProcessBuilder.Redirect.DISCARD);
		}
		builder.environment().put(Workers.VARIABLE, workers.json());
		return builder.start();
	}

	private static List<String> addresses() throws IOException {
		try (ServerSocket one = new ServerSocket(0, 1, InetAddress.getLoopbackAddress());
				ServerSocket other = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
			return List.of("127.0.0.1:" + one.getLocalPort(), "127.0.0.1:" + other.getLocalPort());
		}
	}

	/** A worker that says when it is how far. */
	static final class Main implements TrainingListener {

		private boolean tokenized;

		public static void main(String[] args) throws URISyntaxException {
			tell("main");
			Path tokenizer = Path.of(Objects.requireNonNull(Main.class.getResource("/tokenizer-4k")).toURI());
			Calm.train((training) -> training.corpus(Path.of(args[0]))
				.tokenizer(tokenizer)
				.program(TinyModel.PROGRAM)
				.baseline("nano", (shape) -> {
				}, (options) -> options.steps(1).batch(4).patches(16))
				.listener(new Main())
				.output(Path.of(args[1]))).close();
			System.exit(0);
		}

		private static void tell(String what) {
			long since = System.currentTimeMillis() - ManagementFactory.getRuntimeMXBean().getStartTime();
			System.out.printf("%s after %.2f s%n", what, since / 1e3);
		}

		@Override
		public void onTokens(long bytes, long ofBytes, long tokens) {
			if (!this.tokenized) {
				this.tokenized = true;
				System.out.println(TOKENIZED);
			}
		}

		/** The program is built. */
		@Override
		public void onStart(TrainingStart start) {
			tell("start");
		}

		@Override
		public void onStep(StepMetrics metrics) {
			tell("first step");
		}

		@Override
		public void onEnd(Phase phase, long step) {
			tell("end");
		}

	}

}

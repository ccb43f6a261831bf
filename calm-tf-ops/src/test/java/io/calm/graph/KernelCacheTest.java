package io.calm.graph;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Kernels that a process compiled are there for the next one, unless they are damaged.
 */
class KernelCacheTest {

	private static final String EXPECTED = "1.0";

	private final Path directory;

	KernelCacheTest(@TempDir Path directory) {
		this.directory = directory;
	}

	@Test
	void theNextProcessFindsWhatThisOneCompiled() throws IOException {
		KernelCache first = open();
		assertThat(files(first.directory())).isEmpty();
		Files.writeString(first.directory().resolve("a.pb"), "kernel");
		first.close();
		assertThat(first.directory()).doesNotExist();

		KernelCache second = open();
		assertThat(second.directory().resolve("a.pb")).hasContent("kernel");
		Files.writeString(second.directory().resolve("b.pb"), "another");
		second.close();
		KernelCache third = open();
		assertThat(files(third.directory())).containsExactly("a.pb", "b.pb");
		third.close();
		assertThat(files(kept())).hasSize(2);
	}

	@Test
	void aKernelThatTensorFlowIsStillWritingIsNotKept() throws IOException {
		KernelCache first = open();
		Files.writeString(first.directory().resolve("a.pb1234.tmp"), "ker");
		first.close();
		assertThat(files(kept())).isEmpty();
	}

	@Test
	void aKernelThatWasCutOrChangedIsRemoved() throws IOException {
		KernelCache first = open();
		Files.writeString(first.directory().resolve("a.pb"), "kernel");
		Files.writeString(first.directory().resolve("b.pb"), "kernel");
		Files.writeString(first.directory().resolve("c.pb"), "kernel");
		first.close();
		for (String name : files(kept())) {
			if (!name.startsWith("c.")) {
				Files.writeString(kept().resolve(name), name.startsWith("a.") ? "kerne" : "kernem");
			}
		}
		KernelCache second = open();
		assertThat(files(second.directory())).containsExactly("c.pb");
		second.close();
		assertThat(files(kept())).hasSize(1);
	}

	@Test
	void twoProcessesMayCompileTheSame() throws IOException {
		KernelCache first = open();
		// of another process, so that the second does not take it for one that was killed
		Path other = kept().resolve("process-" + ProcessHandle.current().parent().orElseThrow().pid() + "-x");
		Files.createDirectory(other);
		Files.writeString(first.directory().resolve("a.pb"), "kernel");
		KernelCache second = open();
		Files.writeString(second.directory().resolve("a.pb"), "the same, otherwise");
		second.close();
		Files.writeString(Files.createDirectories(first.directory()).resolve("a.pb"), "kernel");
		first.close();
		assertThat(other).exists();
		Files.delete(other);
		KernelCache third = open();
		assertThat(files(third.directory())).containsExactly("a.pb");
		third.close();
	}

	@Test
	void whatAKilledProcessLeftIsRemoved() throws IOException, InterruptedException {
		Process ended = new ProcessBuilder("true").start();
		ended.waitFor();
		Path left = Files.createDirectories(kept().resolve("process-" + ended.pid() + "-1"));
		Files.writeString(left.resolve("a.pb"), "kernel");
		Files.setPosixFilePermissions(kept(), PosixFilePermissions.fromString("rwx------"));
		KernelCache cache = open();
		assertThat(left).doesNotExist();
		assertThat(files(cache.directory())).isEmpty();
		cache.close();
	}

	@Test
	void nothingIsTakenFromWhereOthersMayWrite() throws IOException {
		open().close();
		Files.setPosixFilePermissions(kept(), PosixFilePermissions.fromString("rwxrwx---"));
		assertThat(KernelCache.open(kept())).isEmpty();
		assertThat(files(kept())).isEmpty();
	}

	@Test
	void whereNothingCanBeKeptEverythingIsCompiled() throws IOException {
		Path file = Files.createFile(this.directory.resolve("file"));
		assertThat(KernelCache.open(file.resolve("kernels"))).isEmpty();
		assertThat(run(file.resolve("kernels"))).isEqualTo(EXPECTED);
	}

	@Test
	void realKernelsAreFoundAgainAndDamagedOnesAreNot() throws IOException, InterruptedException {
		Path all = this.directory.resolve("all");
		assertThat(run(all)).isEqualTo(EXPECTED);
		Path machine = machine(all);
		List<String> compiled = files(machine);
		assertThat(compiled).isNotEmpty();
		assertThat(run(all)).isEqualTo(EXPECTED);
		assertThat(files(machine)).isEqualTo(compiled);
		for (String name : compiled) {
			byte[] kernel = Files.readAllBytes(machine.resolve(name));
			kernel[kernel.length / 2] ^= 1;
			Files.write(machine.resolve(name), kernel);
		}
		assertThat(run(all)).isEqualTo(EXPECTED);
		// compiled again, and whole
		assertThat(files(machine)).isEqualTo(compiled);
		Files.writeString(machine.resolve(compiled.get(0)), "");
		assertThat(run(all)).isEqualTo(EXPECTED);
	}

	@Test
	void aProcessThatThisOneStartsHasACacheOfItsOwn() throws IOException {
		NativeRuntime.load();
		// inherits what native code has set, as long as nobody asks for the environment
		Process child = new ProcessBuilder("env").start();
		assertThat(new String(child.getInputStream().readAllBytes()).lines()).contains("TF_ENABLE_ONEDNN_OPTS=1")
			.noneMatch((line) -> line.startsWith("TF_XLA_FLAGS="));
	}

	/** Computes in a process of its own, which prints the result and nothing else. */
	private static String run(Path kernels) throws IOException {
		List<String> command = new ArrayList<>(
				List.of(Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx64m",
						"-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"));
		if (Runtime.version().feature() >= 24) {
			// from there on the JVM has warnings of its own, on the same stream
			command.addAll(List.of("--enable-native-access=ALL-UNNAMED", "--sun-misc-unsafe-memory-access=allow"));
		}
		command.addAll(List.of("-cp", System.getProperty("java.class.path"), Computing.class.getName()));
		ProcessBuilder builder = new ProcessBuilder(command);
		builder.environment().put("CALM_KERNEL_CACHE", kernels.toString());
		Process process = builder.redirectErrorStream(true).start();
		return new String(process.getInputStream().readAllBytes()).strip();
	}

	private static Path machine(Path all) throws IOException {
		try (Stream<Path> machines = Files.list(all)) {
			return machines.findFirst().orElseThrow();
		}
	}

	private KernelCache open() {
		return KernelCache.open(kept()).orElseThrow();
	}

	private Path kept() {
		return this.directory.resolve("kernels");
	}

	private static List<String> files(Path directory) throws IOException {
		try (Stream<Path> files = Files.list(directory)) {
			return files.map((file) -> file.getFileName().toString()).sorted().toList();
		}
	}

	/** Compiles some kernels. */
	static final class Computing {

		private Computing() {
		}

		public static void main(String[] arguments) {
			try (ProgramBuilder builder = new ProgramBuilder(
					ProgramOptions.DEFAULT.withDevice(Device.CPU).withFusion(true))) {
				Input<TFloat32, float[]> x = builder.floats(1);
				Ops tf = builder.network().tf();
				Operand<TFloat32> twice = tf.math.add(x.value(), x.value());
				Fetch<float[]> y = Fetch.floats(tf.math.exp(tf.math.mul(twice, tf.constant(0f))));
				EntryPoint entryPoint = builder.entryPoint().fetching(y);
				try (Program program = builder.build();
						Call call = program.call(entryPoint).feed(x, new float[] { 2 })) {
					call.run();
					System.out.println(call.get(y)[0]);
				}
			}
		}

	}

}

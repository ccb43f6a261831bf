package io.calm.streaming.app;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.TimeUnit;

import static org.assertj.core.api.Assertions.assertThat;
import static org.awaitility.Awaitility.await;

/**
 * A program of the test's class path in a process of its own.
 */
final class JavaProcess implements AutoCloseable {

	/** The machine may have much else to do. */
	static final Duration PATIENCE = Duration.ofMinutes(10);

	private final Path output;

	private final Process process;

	private JavaProcess(Path output, Process process) {
		this.output = output;
		this.process = process;
	}

	static JavaProcess start(Path output, String mainClass, String... arguments) {
		List<String> command = new ArrayList<>(List.of(
				Path.of(System.getProperty("java.home"), "bin", "java").toString(), "-Xmx512m", "-XX:+UseSerialGC",
				"-cp", System.getProperty("surefire.test.class.path", System.getProperty("java.class.path")),
				mainClass));
		if (!Boolean.getBoolean("calm.long")) {
			// starts sooner and stays slower
			command.add(1, "-XX:TieredStopAtLevel=1");
		}
		command.addAll(Arrays.asList(arguments));
		try {
			return new JavaProcess(output,
					new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(output.toFile()).start());
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	/** Waits until it says something. */
	JavaProcess awaitOutput(String text) {
		await().atMost(PATIENCE).until(() -> output().contains(text) || !this.process.isAlive());
		assertThat(output()).contains(text);
		return this;
	}

	String output() {
		try {
			return Files.readString(this.output);
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	/** As the operating system ends it: without a word to it. */
	void kill() {
		this.process.destroyForcibly();
		awaitEnd();
	}

	boolean isAlive() {
		return this.process.isAlive();
	}

	/** What it has said, and at the end what each of its threads does. */
	String threads() {
		signal("QUIT");
		await().pollDelay(Duration.ofSeconds(2)).until(() -> true);
		return output();
	}

	/**
	 * Sends a signal.
	 * @param name such as {@code STOP}
	 */
	void signal(String name) {
		if (isAlive()) {
			run("kill", "-" + name, String.valueOf(this.process.pid()));
		}
	}

	/**
	 * Lets no file of it grow beyond a size, as if the disk were full.
	 * @param bytes or {@code unlimited}
	 */
	void limitFiles(String bytes) {
		if (isAlive()) {
			run("prlimit", "--fsize=" + bytes + ":", "--pid", String.valueOf(this.process.pid()));
		}
	}

	/** Whether this system has what {@link #limitFiles} needs. */
	static boolean canLimitFiles() {
		return run("prlimit", "--fsize", "--pid", String.valueOf(ProcessHandle.current().pid()));
	}

	/** Of a process that has ended, nothing is asked. */
	private static boolean run(String... command) {
		try {
			return new ProcessBuilder(command).redirectErrorStream(true)
				.redirectOutput(ProcessBuilder.Redirect.DISCARD)
				.start()
				.waitFor() == 0;
		}
		catch (IOException ex) {
			return false;
		}
		catch (InterruptedException ex) {
			throw new IllegalStateException(ex);
		}
	}

	int awaitEnd() {
		if (!awaitEnd(PATIENCE)) {
			throw new AssertionError("It does not end: " + output());
		}
		return this.process.exitValue();
	}

	/** Whether it ends in this time. */
	boolean awaitEnd(Duration time) {
		try {
			return this.process.waitFor(time.toMillis(), TimeUnit.MILLISECONDS);
		}
		catch (InterruptedException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/** Asks it to end, and waits. */
	void stop() {
		this.process.destroy();
		awaitEnd();
	}

	@Override
	public void close() {
		this.process.destroyForcibly();
	}

}

package io.calm.mlflow;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.stream.Stream;

import org.opentest4j.TestAbortedException;

/**
 * Virtual environments in the user's cache directory, which 'mvn clean' keeps. Without
 * Python 3 the tests that ask for one are skipped.
 */
public final class PythonEnvironment {

	private PythonEnvironment() {
	}

	/** With TensorFlow, and all that a registered version asks for. */
	static Path withTensorFlow() throws IOException, InterruptedException {
		boolean linuxOnIntel = "Linux amd64"
			.equals(System.getProperty("os.name") + " " + System.getProperty("os.arch"));
		return of("mlflow-" + MlflowServer.VERSION + "-tensorflow-2.21.0", "mlflow==" + MlflowServer.VERSION,
				(linuxOnIntel ? "tensorflow-cpu" : "tensorflow") + "==2.21.0", "tokenizers==0.23.3");
	}

	/** Made by the first who asks, while others wait. */
	public static Path of(String name, String... packages) throws IOException, InterruptedException {
		String cache = System.getenv("XDG_CACHE_HOME");
		Path caches = (cache != null && !cache.isBlank()) ? Path.of(cache)
				: Path.of(System.getProperty("user.home"), ".cache");
		Path home = caches.resolve("calm").resolve(name);
		Path complete = home.resolve(".complete");
		if (Files.exists(complete)) {
			return home;
		}
		Files.createDirectories(home);
		try (FileChannel channel = FileChannel.open(home.resolveSibling(name + ".lock"), StandardOpenOption.CREATE,
				StandardOpenOption.WRITE); FileLock lock = channel.lock()) {
			if (!Files.exists(complete)) {
				run("python3", "-m", "venv", home.toString());
				run(Stream
					.concat(Stream.of(home.resolve("bin/pip").toString(), "install", "--quiet"), Stream.of(packages))
					.toArray(String[]::new));
				Files.createFile(complete);
			}
		}
		return home;
	}

	private static void run(String... command) throws InterruptedException {
		try {
			Process process = new ProcessBuilder(command).redirectErrorStream(true).start();
			String output = new String(process.getInputStream().readAllBytes());
			if (process.waitFor() == 0) {
				return;
			}
			throw new TestAbortedException("no Python: " + String.join(" ", List.of(command)) + " says " + output);
		}
		catch (IOException ex) {
			throw new TestAbortedException("no Python: Python 3 is needed (" + ex.getMessage() + ")", ex);
		}
	}

}

package io.calm.streaming.service;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

import org.opentest4j.TestAbortedException;
import tools.jackson.databind.JsonNode;
import tools.jackson.databind.json.JsonMapper;

/**
 * The schema of AsyncAPI's own for its documents. It comes as a package of npm only,
 * which is kept in the user's cache directory. Without npm the tests that ask for it are
 * skipped.
 */
final class AsyncApiSchema {

	private static final String VERSION = "6.11.1";

	private AsyncApiSchema() {
	}

	/** For documents that say that they are of a version. */
	static JsonNode of(String version) throws IOException, InterruptedException {
		String cache = System.getenv("XDG_CACHE_HOME");
		Path caches = (cache != null && !cache.isBlank()) ? Path.of(cache)
				: Path.of(System.getProperty("user.home"), ".cache");
		Path home = Files.createDirectories(caches.resolve("calm").resolve("asyncapi-specs-" + VERSION));
		Path schema = home.resolve("node_modules/@asyncapi/specs/schemas/" + version + "-without-$id.json");
		try (FileChannel channel = FileChannel.open(home.resolve(".lock"), StandardOpenOption.CREATE,
				StandardOpenOption.WRITE); FileLock lock = channel.lock()) {
			if (!Files.exists(schema)) {
				install(home);
			}
		}
		return JsonMapper.shared().readTree(schema);
	}

	private static void install(Path home) throws InterruptedException {
		try {
			Process process = new ProcessBuilder("npm", "install", "--prefix", home.toString(), "--ignore-scripts",
					"--no-audit", "--no-fund", "@asyncapi/specs@" + VERSION)
				.redirectErrorStream(true)
				.start();
			String output = new String(process.getInputStream().readAllBytes());
			if (process.waitFor() != 0) {
				throw new TestAbortedException("no schema of AsyncAPI: npm says " + output);
			}
		}
		catch (IOException ex) {
			throw new TestAbortedException("no schema of AsyncAPI: npm is needed (" + ex.getMessage() + ")", ex);
		}
	}

}

package io.calm.mlflow;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.UUID;

/**
 * Artifacts in a directory that this machine has too, such as a shared one. A file
 * appears when it is complete.
 */
final class DirectoryArtifacts implements ArtifactStore {

	/** Of a run, below the directory that the server was started with. */
	private static final int LEVELS = 3;

	private final URI server;

	private final Path root;

	DirectoryArtifacts(URI server, Path root) {
		this.server = server;
		this.root = root;
	}

	/**
	 * Whether a run's files can be here: the server creates the directories of a run only
	 * with its first file, but where all above them are missing too, the machine is
	 * another.
	 */
	static boolean isHere(Path root) {
		Path directory = root;
		for (int level = 0; level <= LEVELS && directory != null; level++) {
			if (Files.isDirectory(directory)) {
				return directory.getParent() != null;
			}
			directory = directory.getParent();
		}
		return false;
	}

	@Override
	public void upload(String path, Path file) {
		Path target = resolve(path);
		try (InputStream in = Files.newInputStream(file)) {
			write(target, in);
		}
		catch (IOException ex) {
			throw failure(ex);
		}
	}

	@Override
	public void upload(String path, String text) {
		try {
			write(resolve(path), new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)));
		}
		catch (IOException ex) {
			throw failure(ex);
		}
	}

	private static void write(Path target, InputStream content) throws IOException {
		Files.createDirectories(target.getParent());
		Path incomplete = target.resolveSibling("." + UUID.randomUUID());
		try {
			Files.copy(content, incomplete);
			Files.move(incomplete, target, StandardCopyOption.ATOMIC_MOVE);
		}
		finally {
			Files.deleteIfExists(incomplete);
		}
	}

	@Override
	public String download(String path) {
		try (InputStream in = Files.newInputStream(resolve(path))) {
			return new String(in.readNBytes(LONGEST_TEXT + 1), StandardCharsets.UTF_8);
		}
		catch (IOException ex) {
			throw failure(ex);
		}
	}

	@Override
	public void download(String path, long size, Path file) {
		try {
			Files.copy(resolve(path), file);
		}
		catch (IOException ex) {
			throw failure(ex);
		}
	}

	private Path resolve(String path) {
		Path resolved = this.root.resolve(path).normalize();
		if (!resolved.startsWith(this.root) || resolved.equals(this.root)) {
			throw MlflowException.ofArtifacts(this.server, MlflowException.REFUSED,
					"has its artifacts at " + this.root + ", and " + path + " leads out of it", "choose another path",
					null);
		}
		return resolved;
	}

	private MlflowException failure(IOException cause) {
		boolean missing = cause instanceof NoSuchFileException;
		return MlflowException.ofArtifacts(this.server, missing ? MlflowException.NOT_FOUND : MlflowException.NO_ANSWER,
				"has its artifacts at " + this.root + ", where "
						+ (missing ? "a file is missing" : "a file cannot be used") + " (" + cause + ")",
				"check the directory, its permissions and its free space", cause);
	}

}

package io.calm.hub;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.UUID;
import java.util.function.Predicate;
import java.util.stream.Stream;

/**
 * A directory of links to the files of several snapshots. Its name is the digest of what
 * it links to, and it appears all at once: whoever finds it finds it complete, and two
 * processes that make it make the same.
 */
final class LinkedModel {

	private final Predicate<String> wanted;

	/** What they link to, by their names in the directory. */
	private final SortedMap<String, Path> files = new TreeMap<>();

	/**
	 * A directory with nothing in it yet.
	 * @param wanted the names in it that are linked; others of a snapshot are not
	 */
	LinkedModel(Predicate<String> wanted) {
		this.wanted = wanted;
	}

	/** Adds the files of a snapshot, with a prefix before their names. */
	void add(String prefix, Path snapshot) throws IOException {
		try (Stream<Path> paths = Files.walk(snapshot, 2)) {
			for (Path path : paths.filter(Files::isRegularFile).toList()) {
				String name = prefix + snapshot.relativize(path).toString().replace('\\', '/');
				if (this.wanted.test(name)) {
					this.files.put(name, path);
				}
			}
		}
	}

	/** Takes the files of these names from a snapshot, and from nowhere else. */
	void replace(Predicate<String> replaced, String prefix, Path snapshot) throws IOException {
		LinkedModel other = new LinkedModel(this.wanted.and(replaced));
		other.add(prefix, snapshot);
		this.files.keySet().removeIf(replaced);
		this.files.putAll(other.files);
	}

	/**
	 * Makes the directory, unless it is there.
	 * @param parent in which it is made
	 * @return the directory
	 */
	Path makeIn(Path parent) throws IOException {
		Path directory = parent.resolve(digest(parent));
		if (Files.isDirectory(directory)) {
			return directory;
		}
		Path unfinished = Files.createDirectories(parent.resolve("." + UUID.randomUUID()));
		try {
			for (Map.Entry<String, Path> file : this.files.entrySet()) {
				Hub.link(unfinished.resolve(file.getKey()), file.getValue());
			}
			Files.move(unfinished, directory, StandardCopyOption.ATOMIC_MOVE);
		}
		catch (IOException ex) {
			// another process may have been faster
			if (!Files.isDirectory(directory)) {
				throw ex;
			}
		}
		finally {
			delete(unfinished);
		}
		return directory;
	}

	private String digest(Path parent) {
		try {
			MessageDigest digest = MessageDigest.getInstance("SHA-256");
			this.files.forEach((name, file) -> digest
				.update((name + "\0" + parent.relativize(file) + "\0").getBytes(StandardCharsets.UTF_8)));
			return HexFormat.of().formatHex(digest.digest());
		}
		catch (NoSuchAlgorithmException ex) {
			throw new IllegalStateException(ex);
		}
	}

	private static void delete(Path directory) throws IOException {
		if (!Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
			return;
		}
		// follows no links; a directory comes before what it holds
		try (Stream<Path> paths = Files.walk(directory)) {
			List<Path> all = paths.toList();
			for (int i = all.size() - 1; i >= 0; i--) {
				Files.delete(all.get(i));
			}
		}
	}

}

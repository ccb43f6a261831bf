package io.calm.mlflow;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

import io.calm.input.InvalidInputException;
import org.jspecify.annotations.Nullable;

/**
 * The spool of one training: lines are appended at its end while others are read from its
 * beginning. One process has it open at a time; within it, one thread may append and
 * another read.
 */
final class SpoolFile implements AutoCloseable {

	private static final String LINES = ".jsonl";

	private static final int BUFFER = 1 << 16;

	/** Far longer than any line: what follows is no spool. */
	private static final int LONGEST_LINE = 16 << 20;

	/**
	 * Those this process has open. A lock belongs to the process, which would lose it by
	 * opening and closing the file once more.
	 */
	private static final Set<Path> OPEN = ConcurrentHashMap.newKeySet();

	private final Path path;

	private final Path lockFile;

	private final FileChannel lockChannel;

	private final FileChannel channel;

	private final ByteBuffer pending = ByteBuffer.allocate(BUFFER);

	private SpoolFile(Path path, Path lockFile, FileChannel lockChannel, FileChannel channel) {
		this.path = path;
		this.lockFile = lockFile;
		this.lockChannel = lockChannel;
		this.channel = channel;
	}

	static SpoolFile create(Path directory, SpoolEntry.Training training) throws IOException {
		Files.createDirectories(directory);
		String time = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss.SSS'Z'")
			.withZone(ZoneOffset.UTC)
			.format(Instant.ofEpochMilli(training.time()));
		Path path = directory.resolve(time + "-" + training.key() + LINES);
		SpoolFile file = open(path, StandardOpenOption.CREATE_NEW)
			.orElseThrow(() -> new IOException(path + " is in use"));
		file.append(training);
		file.flush();
		return file;
	}

	/** Empty if somebody else has it open. */
	static Optional<SpoolFile> open(Path path) throws IOException {
		return open(path, StandardOpenOption.WRITE);
	}

	private static Optional<SpoolFile> open(Path given, StandardOpenOption mode) throws IOException {
		Path path = given.toAbsolutePath().normalize();
		if (!OPEN.add(path)) {
			return Optional.empty();
		}
		Path lockFile = sibling(path, ".lock");
		FileChannel lockChannel = null;
		FileChannel channel = null;
		boolean opened = false;
		try {
			lockChannel = FileChannel.open(lockFile, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
			FileLock lock = lockChannel.tryLock();
			if (lock == null) {
				return Optional.empty();
			}
			channel = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE, mode);
			SpoolFile file = new SpoolFile(path, lockFile, lockChannel, channel);
			file.endLastLine();
			opened = true;
			return Optional.of(file);
		}
		finally {
			if (!opened) {
				if (channel != null) {
					channel.close();
				}
				if (lockChannel != null) {
					lockChannel.close();
				}
				OPEN.remove(path);
			}
		}
	}

	/** A crash may have left half a line; what is appended shall not continue it. */
	private void endLastLine() throws IOException {
		long size = this.channel.size();
		this.channel.position(size);
		ByteBuffer last = ByteBuffer.allocate(1);
		if (size > 0 && this.channel.read(last, size - 1) == 1 && last.get(0) != '\n') {
			this.channel.write(ByteBuffer.wrap(new byte[] { '\n' }));
		}
	}

	/** All in a directory, the oldest first. */
	static List<Path> in(Path directory) throws IOException {
		try (Stream<Path> files = Files.list(directory)) {
			return files.filter((file) -> file.toString().endsWith(LINES)).sorted().toList();
		}
		catch (NoSuchFileException ex) {
			return List.of();
		}
	}

	/**
	 * Opens the newest that tells of a training with checkpoints in a directory.
	 */
	static Optional<SpoolFile> find(Path directory, String checkpoints) throws IOException {
		List<Path> newestFirst = new ArrayList<>(in(directory));
		newestFirst.sort(Comparator.reverseOrder());
		for (Path path : newestFirst) {
			Optional<SpoolFile> opened = open(path);
			if (opened.isPresent()) {
				if (opened.get().tellsOf(checkpoints)) {
					return opened;
				}
				opened.get().close();
			}
		}
		return Optional.empty();
	}

	private boolean tellsOf(String checkpoints) throws IOException {
		Reader reader = reader();
		for (String line = reader.next(); line != null; line = reader.next()) {
			// cheaper than parsing them all
			if (line.contains("\"start\"") && SpoolEntry.parse(line) instanceof SpoolEntry.Start start
					&& checkpoints.equals(start.directory())) {
				return true;
			}
		}
		return false;
	}

	Path path() {
		return this.path;
	}

	/** Where the files to be sent are. */
	Path files() {
		return sibling(this.path, ".files");
	}

	private static Path sibling(Path path, String extension) {
		String name = path.getFileName().toString();
		return path.resolveSibling(name.substring(0, name.length() - LINES.length()) + extension);
	}

	void append(SpoolEntry entry) throws IOException {
		byte[] line = (entry.toLine() + "\n").getBytes(StandardCharsets.UTF_8);
		if (line.length > this.pending.remaining()) {
			flush();
		}
		if (line.length > this.pending.capacity()) {
			write(ByteBuffer.wrap(line));
		}
		else {
			this.pending.put(line);
		}
	}

	/** From now on a reader sees what was appended, and a crash of the JVM spares it. */
	void flush() throws IOException {
		this.pending.flip();
		try {
			write(this.pending);
		}
		finally {
			this.pending.clear();
		}
	}

	private void write(ByteBuffer bytes) throws IOException {
		while (bytes.hasRemaining()) {
			this.channel.write(bytes);
		}
	}

	Reader reader() {
		return new Reader();
	}

	/** The training is over and all of it is where it belongs. */
	void delete() throws IOException {
		close();
		deleteAll(files());
		Files.deleteIfExists(this.path);
		Files.deleteIfExists(this.lockFile);
	}

	/**
	 * Keeps a file or directory as it is now, whatever becomes of the original.
	 * @param name below {@link #files()}
	 * @return whether there was something to keep
	 */
	boolean keep(Path original, String name) throws IOException {
		Path kept = files().resolve(name);
		Path incomplete = kept.resolveSibling(kept.getFileName() + ".incomplete");
		deleteAll(incomplete);
		Files.createDirectories(incomplete.getParent());
		try (Stream<Path> paths = Files.walk(original)) {
			for (Path source : paths.toList()) {
				Path target = incomplete.resolve(original.relativize(source).toString());
				if (Files.isDirectory(source)) {
					Files.createDirectories(target);
				}
				else {
					link(source, target);
				}
			}
		}
		catch (NoSuchFileException | UncheckedIOException ex) {
			// its successor is being written
			deleteAll(incomplete);
			return false;
		}
		deleteAll(kept);
		Files.move(incomplete, kept, StandardCopyOption.ATOMIC_MOVE);
		return true;
	}

	/** Checkpoints are replaced, never written into: a link keeps the old content. */
	private static void link(Path source, Path target) throws IOException {
		try {
			Files.createLink(target, source);
		}
		catch (NoSuchFileException ex) {
			throw ex;
		}
		catch (IOException | UnsupportedOperationException ex) {
			Files.copy(source, target);
		}
	}

	/** Others may be deleting there too. */
	static void deleteAll(Path path) throws IOException {
		try (Stream<Path> paths = Files.walk(path)) {
			for (Path each : paths.sorted(Comparator.reverseOrder()).toList()) {
				Files.deleteIfExists(each);
			}
		}
		catch (NoSuchFileException ex) {
			// already gone
		}
		catch (UncheckedIOException ex) {
			throw ex.getCause();
		}
	}

	static InvalidInputException unusable(Path directory, Exception ex) {
		return (ex instanceof InvalidInputException told) ? told : new InvalidInputException(directory.toString(),
				"the spool cannot be used (" + ex + ")", "check the free space and the permissions there", ex);
	}

	@Override
	public void close() throws IOException {
		try (this.channel; this.lockChannel) {
			if (this.channel.isOpen()) {
				flush();
			}
		}
		finally {
			OPEN.remove(this.path);
		}
	}

	/**
	 * Reads lines from the beginning, as far as there are complete ones.
	 */
	final class Reader {

		private long position;

		private byte[] buffer = new byte[BUFFER];

		private int from;

		private int to;

		/** Null when there is no further complete line yet. */
		@Nullable String next() throws IOException {
			int searched = this.from;
			while (true) {
				for (int i = searched; i < this.to; i++) {
					if (this.buffer[i] == '\n') {
						String line = new String(this.buffer, this.from, i - this.from, StandardCharsets.UTF_8);
						this.from = i + 1;
						return line;
					}
				}
				int kept = this.to - this.from;
				if (!fill()) {
					return null;
				}
				searched = this.from + kept;
			}
		}

		/**
		 * Reads entries until their metrics fill a request, or one that is no metric.
		 * @return false at the end of what is there
		 */
		boolean next(List<SpoolEntry> entries) throws IOException {
			int points = 0;
			while (points < Delivery.MOST_METRICS) {
				String line = next();
				if (line == null) {
					return false;
				}
				SpoolEntry entry = SpoolEntry.parse(line);
				if (entry != null) {
					entries.add(entry);
				}
				if (entry instanceof SpoolEntry.Metrics metrics) {
					points += metrics.values().size();
				}
				else if (entry != null) {
					return true;
				}
			}
			return true;
		}

		private boolean fill() throws IOException {
			int kept = this.to - this.from;
			byte[] target = this.buffer;
			if (kept == this.buffer.length) {
				if (kept >= LONGEST_LINE) {
					throw new IOException(
							SpoolFile.this.path + " holds a line of more than " + LONGEST_LINE + " bytes");
				}
				target = new byte[2 * kept];
			}
			System.arraycopy(this.buffer, this.from, target, 0, kept);
			this.buffer = target;
			this.from = 0;
			this.to = kept;
			int read = SpoolFile.this.channel.read(ByteBuffer.wrap(target, kept, target.length - kept), this.position);
			if (read <= 0) {
				return false;
			}
			this.position += read;
			this.to += read;
			return true;
		}

	}

}

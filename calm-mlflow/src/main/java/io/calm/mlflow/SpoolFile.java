package io.calm.mlflow;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileVisitOption;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.LongSupplier;
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

	/**
	 * Behind the last line that counts. A write that fails half way leaves something
	 * there, which the next one overwrites and nobody reads.
	 */
	private volatile long end;

	/** Behind what has been written, which counts once all of it is. */
	private long written;

	private SpoolFile(Path path, Path lockFile, FileChannel lockChannel, FileChannel channel) {
		this.path = path;
		this.lockFile = lockFile;
		this.lockChannel = lockChannel;
		this.channel = channel;
	}

	static SpoolFile create(Path directory, SpoolEntry.Training training) throws IOException {
		createPrivate(directory);
		String time = DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss.SSS'Z'")
			.withZone(ZoneOffset.UTC)
			.format(Instant.ofEpochMilli(training.time()));
		Path path = directory.resolve(time + "-" + training.key() + LINES);
		SpoolFile file = open(path, StandardOpenOption.CREATE_NEW)
			.orElseThrow(() -> new IOException(path + " is in use"));
		file.append(training);
		file.flush();
		file.sync();
		syncDirectory(directory);
		return file;
	}

	/**
	 * Opens what is there.
	 * @return empty if somebody else has it open
	 * @throws InvalidInputException if it is no spool; nothing of it is changed then
	 */
	static Optional<SpoolFile> open(Path path) throws IOException {
		if (!isSpool(path)) {
			throw new InvalidInputException(path.toString(), "is no spool of a training",
					"give the directory mlflow-spool beside the model, or a file TIME-KEY" + LINES + " in it");
		}
		return open(path, StandardOpenOption.WRITE);
	}

	/** Whether its first line is that of a training. */
	static boolean isSpool(Path path) throws IOException {
		if (!Files.isRegularFile(path)) {
			return false;
		}
		try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
			ByteBuffer first = ByteBuffer.allocate(1);
			if (channel.read(first) != 1 || first.get(0) != '{') {
				return false;
			}
			long size = channel.size();
			String line = new Reader(channel, path, () -> size).next();
			return line != null && SpoolEntry.parse(line) instanceof SpoolEntry.Training;
		}
		catch (LongLineException ex) {
			return false;
		}
	}

	/** Texts of a training are nobody else's business. */
	private static void createPrivate(Path directory) throws IOException {
		Path parent = directory.toAbsolutePath().getParent();
		if (parent != null) {
			Files.createDirectories(parent);
		}
		try {
			Files.createDirectory(directory, ownersOnly(directory, "rwx------"));
		}
		catch (FileAlreadyExistsException ex) {
			if (!Files.isDirectory(directory)) {
				throw ex;
			}
		}
	}

	private static FileAttribute<?>[] ownersOnly(Path path, String permissions) {
		return path.getFileSystem().supportedFileAttributeViews().contains("posix")
				? new FileAttribute<?>[] {
						PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString(permissions)) }
				: new FileAttribute<?>[0];
	}

	/** So that the name of a new file is there after a power failure, too. */
	static void syncDirectory(Path directory) {
		try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
			channel.force(true);
		}
		catch (IOException ex) {
			// a system that opens no directories
		}
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
			lockChannel = FileChannel.open(lockFile, Set.of(StandardOpenOption.CREATE, StandardOpenOption.WRITE),
					ownersOnly(lockFile, "rw-------"));
			FileLock lock = lockChannel.tryLock();
			if (lock == null) {
				return Optional.empty();
			}
			channel = FileChannel.open(path, EnumSet.of(StandardOpenOption.READ, StandardOpenOption.WRITE, mode),
					ownersOnly(path, "rw-------"));
			SpoolFile file = new SpoolFile(path, lockFile, lockChannel, channel);
			file.cutHalfALine();
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

	/** A crash may have left half a line: it goes, unless only its end is missing. */
	private void cutHalfALine() throws IOException {
		long size = this.channel.size();
		long behind = size;
		ByteBuffer part = ByteBuffer.allocate(BUFFER);
		search: for (long to = size; to > 0; to -= BUFFER) {
			long from = Math.max(0, to - BUFFER);
			part.clear().limit((int) (to - from));
			while (part.hasRemaining() && this.channel.read(part, from + part.position()) > 0) {
				// all of it
			}
			for (int i = part.position() - 1; i >= 0; i--) {
				if (part.get(i) == '\n') {
					behind = from + i + 1;
					break search;
				}
			}
			behind = from;
		}
		this.end = behind;
		this.written = behind;
		if (behind < size) {
			ByteBuffer rest = ByteBuffer.allocate((int) Math.min(size - behind, LONGEST_LINE));
			while (rest.hasRemaining() && this.channel.read(rest, behind + rest.position()) > 0) {
				// all of it
			}
			SpoolEntry whole = SpoolEntry.parse(new String(rest.array(), 0, rest.position(), StandardCharsets.UTF_8));
			this.channel.truncate(behind);
			if (whole != null) {
				append(whole);
				flush();
			}
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
		return newest(directory, (file) -> file.tellsOf(checkpoints));
	}

	/**
	 * Opens the newest that tells of a training which began in the same way and has no
	 * end.
	 */
	static Optional<SpoolFile> findKilled(Path directory, SpoolEntry.Start again) throws IOException {
		return newest(directory, (file) -> file.wasKilledAfter(again));
	}

	/** What a spool may tell. */
	@FunctionalInterface
	private interface Condition {

		boolean holds(SpoolFile file) throws IOException;

	}

	private static Optional<SpoolFile> newest(Path directory, Condition condition) throws IOException {
		List<Path> newestFirst = new ArrayList<>(in(directory));
		newestFirst.sort(Comparator.reverseOrder());
		for (Path path : newestFirst) {
			Optional<SpoolFile> opened = isSpool(path) ? open(path) : Optional.empty();
			if (opened.isPresent()) {
				if (condition.holds(opened.get())) {
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

	private boolean wasKilledAfter(SpoolEntry.Start again) throws IOException {
		boolean began = false;
		boolean ended = false;
		Reader reader = reader();
		for (String line = reader.next(); line != null; line = reader.next()) {
			SpoolEntry entry = (line.contains("\"start\"") || line.contains("\"end\"")) ? SpoolEntry.parse(line) : null;
			if (entry instanceof SpoolEntry.Start start) {
				ended = false;
				began |= start.run().equals(again.run()) && start.directory().equals(again.directory())
						&& start.params().equals(again.params()) && start.digest().equals(again.digest());
			}
			else if (entry instanceof SpoolEntry.End end) {
				ended |= end.run().equals(SpoolEntry.PARENT);
			}
		}
		return began && !ended;
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
		return path.resolveSibling(
				(name.endsWith(LINES) ? name.substring(0, name.length() - LINES.length()) : name) + extension);
	}

	/**
	 * Adds an entry to those that the next flush makes count. If that fails or this does,
	 * none of them does.
	 */
	void append(SpoolEntry entry) throws IOException {
		byte[] line = (entry.toLine() + "\n").getBytes(StandardCharsets.UTF_8);
		if (line.length > this.pending.remaining()) {
			writePending();
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
		writePending();
		this.end = this.written;
	}

	/** From now on a power failure spares what was flushed. */
	void sync() throws IOException {
		this.channel.force(false);
	}

	private void writePending() throws IOException {
		this.pending.flip();
		write(this.pending);
		this.pending.clear();
	}

	private void write(ByteBuffer bytes) throws IOException {
		try {
			while (bytes.hasRemaining()) {
				this.written += this.channel.write(bytes, this.written);
			}
		}
		catch (IOException ex) {
			this.pending.clear();
			this.written = this.end;
			try {
				this.channel.truncate(this.end);
			}
			catch (IOException half) {
				ex.addSuppressed(half);
			}
			throw ex;
		}
	}

	Reader reader() {
		return new Reader(this.channel, this.path, () -> this.end);
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
		createPrivate(files());
		Files.createDirectories(incomplete.getParent());
		try (Stream<Path> paths = Files.walk(original, FileVisitOption.FOLLOW_LINKS)) {
			for (Path source : paths.toList()) {
				Path target = incomplete.resolve(original.relativize(source).toString());
				if (Files.isDirectory(source)) {
					Files.createDirectories(target);
				}
				else {
					link(source.toRealPath(), target);
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

	/** What holds such a line is no spool. */
	private static final class LongLineException extends IOException {

		private static final long serialVersionUID = 1L;

		LongLineException(Path path) {
			super(path + " holds a line of more than " + LONGEST_LINE + " bytes");
		}

	}

	/**
	 * Reads lines from the beginning, as far as there are complete ones.
	 */
	static final class Reader {

		private final FileChannel channel;

		private final Path path;

		private final LongSupplier end;

		private long position;

		private byte[] buffer = new byte[BUFFER];

		private int from;

		private int to;

		private Reader(FileChannel channel, Path path, LongSupplier end) {
			this.channel = channel;
			this.path = path;
			this.end = end;
		}

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
			while (points < MlflowApi.MOST_METRICS) {
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
					throw new LongLineException(this.path);
				}
				target = new byte[2 * kept];
			}
			System.arraycopy(this.buffer, this.from, target, 0, kept);
			this.buffer = target;
			this.from = 0;
			this.to = kept;
			int room = (int) Math.min(target.length - kept, this.end.getAsLong() - this.position);
			int read = (room > 0) ? this.channel.read(ByteBuffer.wrap(target, kept, room), this.position) : 0;
			if (read <= 0) {
				return false;
			}
			this.position += read;
			this.to += read;
			return true;
		}

	}

}

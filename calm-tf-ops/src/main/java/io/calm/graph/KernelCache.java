package io.calm.graph;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import java.util.zip.CRC32C;

/**
 * Keeps the kernels that XLA compiles for the processes to come. To compile them takes
 * most of the time from the start of a training to its first step.
 *
 * <p>
 * TensorFlow reads and writes a directory of kernels by itself, but a training ends with
 * its error where a file is damaged. So each process gets a directory of its own, with
 * links to the kept kernels whose checksum is right. What TensorFlow adds is kept when
 * the process ends. Kernels are machine code: the directories belong to the user alone,
 * and where others may write, nothing is kept.
 */
final class KernelCache {

	/** A training of a small model compiles some hundred kernels, of 6 MB together. */
	private static final long MOST_BYTES = 128L << 20;

	/** With less space on the disk nothing is written to it. */
	private static final long LEAST_SPACE = 512L << 20;

	/** How TensorFlow ends the name of a kernel that it has written to its end. */
	private static final String KERNEL = ".pb";

	private static final String PROCESS = "process-";

	private static final Set<PosixFilePermission> OF_OTHERS = EnumSet.of(PosixFilePermission.GROUP_WRITE,
			PosixFilePermission.OTHERS_WRITE);

	/** The kernels that are kept, each as {@code NAME.CHECKSUM}. */
	private final Path kept;

	/** The kernels of this process, as TensorFlow names them. */
	private final Path own;

	/** What was found in the beginning. */
	private final Set<String> found;

	private KernelCache(Path kept, Path own, Set<String> found) {
		this.kept = kept;
		this.own = own;
		this.found = found;
	}

	/**
	 * Makes the directory of this process, with the kernels that are kept.
	 * @param kept where kernels of this kind of machine are kept; made if need be
	 * @return none where files of the user alone cannot be kept
	 */
	static Optional<KernelCache> open(Path kept) {
		try {
			FileAttribute<?> ofUser = PosixFilePermissions
				.asFileAttribute(PosixFilePermissions.fromString("rwx------"));
			Files.createDirectories(kept, ofUser);
			if (Files.getFileStore(kept).getUsableSpace() < LEAST_SPACE) {
				return Optional.empty();
			}
			removeLeftovers(kept);
			Path own = Files.createTempDirectory(kept, PROCESS + ProcessHandle.current().pid() + "-", ofUser);
			if (!Files.getOwner(kept).equals(Files.getOwner(own))
					|| Files.getPosixFilePermissions(kept).stream().anyMatch(OF_OTHERS::contains)) {
				remove(own);
				return Optional.empty();
			}
			return Optional.of(new KernelCache(kept, own, link(kept, own)));
		}
		catch (IOException | UnsupportedOperationException | SecurityException ex) {
			// TensorFlow compiles everything itself, as it would without us
			return Optional.empty();
		}
	}

	/** Where TensorFlow reads and writes the kernels of this process. */
	Path directory() {
		return this.own;
	}

	/** Keeps what this process has compiled, and removes its directory. */
	void close() {
		try {
			for (Path kernel : kernels(this.own)) {
				String name = kernel.getFileName().toString();
				if (name.endsWith(KERNEL) && !this.found.contains(name)) {
					Files.move(kernel, this.kept.resolve(name + "." + checksum(kernel)),
							StandardCopyOption.ATOMIC_MOVE);
				}
			}
			removeOldest();
			remove(this.own);
		}
		catch (IOException ex) {
			// what is left is removed by the next process
		}
	}

	private static Set<String> link(Path kept, Path own) throws IOException {
		Set<String> found = new HashSet<>();
		for (Path kernel : kernels(kept)) {
			String name = kernel.getFileName().toString();
			int end = name.lastIndexOf('.');
			try {
				if (name.substring(end + 1).equals(checksum(kernel))) {
					Files.createLink(own.resolve(name.substring(0, end)), kernel);
					found.add(name.substring(0, end));
				}
				else {
					Files.delete(kernel);
				}
			}
			catch (FileAlreadyExistsException | NoSuchFileException ex) {
				// two processes kept the same kernel, or another one removed it
			}
		}
		return found;
	}

	private void removeOldest() throws IOException {
		List<Path> kernels = new ArrayList<>(kernels(this.kept));
		long bytes = 0;
		for (Path kernel : kernels) {
			bytes += Files.size(kernel);
		}
		if (bytes <= MOST_BYTES) {
			return;
		}
		kernels.sort(Comparator.comparing(KernelCache::time));
		for (Path kernel : kernels) {
			bytes -= Files.size(kernel);
			Files.deleteIfExists(kernel);
			if (bytes <= MOST_BYTES / 2) {
				return;
			}
		}
	}

	private static FileTime time(Path kernel) {
		try {
			return Files.getLastModifiedTime(kernel);
		}
		catch (IOException ex) {
			return FileTime.fromMillis(0);
		}
	}

	/** Removes directories of processes that were killed. */
	private static void removeLeftovers(Path kept) throws IOException {
		List<Path> directories;
		try (Stream<Path> all = Files.list(kept)) {
			directories = all.filter((each) -> each.getFileName().toString().startsWith(PROCESS)).toList();
		}
		for (Path directory : directories) {
			long pid = Long.parseLong(directory.getFileName().toString().split("-")[1]);
			// in a container every process may have the same number
			if (pid == ProcessHandle.current().pid() || ProcessHandle.of(pid).isEmpty()) {
				remove(directory);
			}
		}
	}

	private static void remove(Path directory) throws IOException {
		for (Path file : kernels(directory)) {
			Files.deleteIfExists(file);
		}
		Files.deleteIfExists(directory);
	}

	private static List<Path> kernels(Path directory) throws IOException {
		try (Stream<Path> all = Files.list(directory)) {
			return all.filter(Files::isRegularFile).collect(Collectors.toList());
		}
	}

	private static String checksum(Path kernel) throws IOException {
		CRC32C checksum = new CRC32C();
		checksum.update(Files.readAllBytes(kernel));
		return Long.toHexString(checksum.getValue());
	}

}

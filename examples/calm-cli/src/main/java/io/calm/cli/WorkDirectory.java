package io.calm.cli;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

/** A temporary directory for the models of a command that keeps none. */
record WorkDirectory(Path path) implements AutoCloseable {

	static WorkDirectory create() {
		try {
			return new WorkDirectory(Files.createTempDirectory("calm"));
		}
		catch (IOException ex) {
			throw new UncheckedIOException("Cannot create a temporary directory: " + ex.getMessage(), ex);
		}
	}

	@Override
	public void close() {
		try (Stream<Path> paths = Files.walk(this.path)) {
			for (Path entry : paths.sorted(Comparator.reverseOrder()).toList()) {
				Files.delete(entry);
			}
		}
		catch (IOException ex) {
			throw new UncheckedIOException("Cannot delete " + this.path + ": " + ex.getMessage(), ex);
		}
	}

}

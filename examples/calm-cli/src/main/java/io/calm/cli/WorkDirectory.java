package io.calm.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.stream.Stream;

import io.calm.input.InvalidInputException;

/** A temporary directory for the models of a command that keeps none. */
record WorkDirectory(Path path) implements AutoCloseable {

	static WorkDirectory create() {
		try {
			return new WorkDirectory(Files.createTempDirectory("calm"));
		}
		catch (IOException ex) {
			throw new InvalidInputException(System.getProperty("java.io.tmpdir"),
					"no temporary directory can be made there (" + ex + ")",
					"free space there, or name another directory with -Djava.io.tmpdir=DIR", ex);
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
			throw new InvalidInputException(this.path.toString(), "cannot be deleted (" + ex + ")", "delete it by hand",
					ex);
		}
	}

}

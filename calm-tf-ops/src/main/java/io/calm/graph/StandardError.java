package io.calm.graph;

import java.io.IOException;
import java.nio.charset.Charset;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.function.Predicate;

import com.sun.jna.Function;

/**
 * Standard error as native code writes to it, which {@link System#setErr} does not reach.
 */
final class StandardError {

	private static final int DESCRIPTOR = 2;

	private StandardError() {
	}

	/**
	 * Runs an action and withholds lines that it writes. Other lines, such as those of
	 * other threads, are written when it has ended.
	 * @param withheld tells the lines that are not written
	 * @param action what runs; if no temporary file can be made, nothing is withheld
	 */
	static void withhold(Predicate<String> withheld, Runnable action) {
		Path file;
		try {
			file = Files.createTempFile("calm-stderr", ".txt");
		}
		catch (IOException ex) {
			action.run();
			return;
		}
		try {
			int terminal = call("dup", DESCRIPTOR);
			int substitute = call("creat", file.toString(), 0600);
			if (terminal >= 0 && substitute >= 0) {
				call("dup2", substitute, DESCRIPTOR);
			}
			try {
				action.run();
			}
			finally {
				if (terminal >= 0 && substitute >= 0) {
					call("dup2", terminal, DESCRIPTOR);
				}
				close(terminal);
				close(substitute);
				writeOthers(file, withheld);
			}
		}
		finally {
			delete(file);
		}
	}

	private static void writeOthers(Path file, Predicate<String> withheld) {
		try {
			new String(Files.readAllBytes(file), Charset.defaultCharset()).lines()
				.filter(withheld.negate())
				.forEach((line) -> write(line + System.lineSeparator()));
		}
		catch (IOException ex) {
			write("What was written to standard error cannot be read again: " + ex.getMessage()
					+ System.lineSeparator());
		}
	}

	private static void write(String line) {
		byte[] bytes = line.getBytes(Charset.defaultCharset());
		call("write", DESCRIPTOR, bytes, bytes.length);
	}

	private static void close(int descriptor) {
		if (descriptor >= 0) {
			call("close", descriptor);
		}
	}

	private static void delete(Path file) {
		try {
			Files.deleteIfExists(file);
		}
		catch (IOException ex) {
			file.toFile().deleteOnExit();
		}
	}

	private static int call(String function, Object... arguments) {
		return Function.getFunction("c", function).invokeInt(arguments);
	}

}

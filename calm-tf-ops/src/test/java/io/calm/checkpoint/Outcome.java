package io.calm.checkpoint;

import java.nio.file.Path;

import io.calm.input.InvalidInputException;

/**
 * What becomes of a file that may be damaged.
 */
final class Outcome {

	/** How a byte is damaged: each bit alone, and all of them. */
	static final int[] FLIPS = { 1, 2, 4, 8, 16, 32, 64, 128, 255 };

	private Outcome() {
	}

	/**
	 * Opens a file and reads all of it.
	 * @return whether that was possible; {@code false} if it was refused as invalid. Any
	 * other exception is a defect and goes on
	 */
	static boolean of(Path path) {
		try (TensorFile file = TensorFile.open(path)) {
			file.entries().forEach((name, entry) -> {
				if (entry.type().floating()) {
					file.readFloats(name);
				}
				else if (entry.type().integer()) {
					file.readLongs(name);
				}
			});
			return true;
		}
		catch (InvalidInputException ex) {
			return false;
		}
	}

}

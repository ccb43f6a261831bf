package io.calm.input;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

/**
 * Files that are read as a whole, and of which no more is read than is allowed: the size
 * of a file does not say how much comes out of it, as of a device or a pipe.
 */
public final class InputFile {

	private InputFile() {
	}

	/**
	 * Reads bytes.
	 * @param file to read
	 * @param most bytes that it may have
	 * @param remedy what to do if it has more, for the error's second half
	 * @return all of them
	 * @throws InvalidInputException if it has more, or cannot be read
	 */
	public static byte[] bytes(Path file, int most, String remedy) {
		try (InputStream in = Files.newInputStream(file)) {
			byte[] bytes = in.readNBytes(most);
			if (bytes.length == most && in.read() >= 0) {
				throw new InvalidInputException(file.toString(), "is longer than " + most + " bytes", remedy);
			}
			return bytes;
		}
		catch (IOException ex) {
			throw new InvalidInputException(file.toString(), "cannot be read (" + ex + ")",
					"check the file and its permissions", ex);
		}
	}

	/**
	 * Reads text.
	 * @param file of UTF-8
	 * @param most bytes that it may have
	 * @param remedy what to do if it has more, for the error's second half
	 * @return all of it
	 * @throws InvalidInputException if it has more, is not UTF-8 or cannot be read
	 */
	public static String text(Path file, int most, String remedy) {
		try {
			return StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes(file, most, remedy))).toString();
		}
		catch (CharacterCodingException ex) {
			throw new InvalidInputException(file.toString(), "is not UTF-8", "convert it, such as with iconv", ex);
		}
	}

}

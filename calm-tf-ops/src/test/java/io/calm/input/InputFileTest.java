package io.calm.input;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

class InputFileTest {

	@TempDir
	private Path directory = Path.of("");

	@Test
	void isReadUpToItsLimit() throws IOException {
		Path file = Files.writeString(this.directory.resolve("file"), "größe");
		assertThat(InputFile.bytes(file, 7, "shorten it")).isEqualTo("größe".getBytes(StandardCharsets.UTF_8));
		assertThat(InputFile.text(file, 100, "shorten it")).isEqualTo("größe");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> InputFile.text(file, 6, "shorten it"))
			.withMessage(file + " is longer than 6 bytes; shorten it");
	}

	/** Whose size is 0. */
	@Test
	@DisabledOnOs(OS.WINDOWS)
	void aDeviceWithoutEndEndsAtTheLimit() {
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> InputFile.bytes(Path.of("/dev/zero"), 1000, "name a file"))
			.withMessage("/dev/zero is longer than 1000 bytes; name a file");
	}

	@Test
	void whatCannotBeRead() throws IOException {
		Path latin = Files.write(this.directory.resolve("latin"), new byte[] { 'a', (byte) 0xe4 });
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> InputFile.text(latin, 9, "shorten it"))
			.withMessage(latin + " is not UTF-8; convert it, such as with iconv");
		Path none = this.directory.resolve("none");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> InputFile.bytes(none, 9, "shorten it"))
			.withMessageStartingWith(none + " cannot be read");
	}

}

package io.calm.graph;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

import com.sun.jna.Function;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.DisabledOnOs;
import org.junit.jupiter.api.condition.OS;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

@DisabledOnOs(OS.WINDOWS)
class StandardErrorTest {

	@Test
	void linesOfOthersAreWritten() {
		assertThat(written(() -> StandardError.withhold((line) -> line.startsWith("I0000"), () -> {
			write("I0000 a line of TensorFlow\nE0000 an error, größer\n");
			write("a line of another library\n");
		}))).isEqualTo("E0000 an error, größer\na line of another library\n");
	}

	@Test
	void linesAreWrittenWhenTheActionFails() {
		assertThat(written(() -> assertThatThrownBy(() -> StandardError.withhold((line) -> false, () -> {
			write("the reason\n");
			throw new IllegalStateException("it failed");
		})).hasMessage("it failed"))).isEqualTo("the reason\n");
	}

	private static String written(Runnable action) {
		PrintStream before = System.err;
		ByteArrayOutputStream written = new ByteArrayOutputStream();
		System.setErr(new PrintStream(written, true, StandardCharsets.UTF_8));
		try {
			action.run();
		}
		finally {
			System.setErr(before);
		}
		return written.toString(StandardCharsets.UTF_8).replace(System.lineSeparator(), "\n");
	}

	/** As native code does it. */
	private static void write(String text) {
		byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
		assertThat(Function.getFunction("c", "write").invokeInt(new Object[] { 2, bytes, bytes.length }))
			.isEqualTo(bytes.length);
	}

}

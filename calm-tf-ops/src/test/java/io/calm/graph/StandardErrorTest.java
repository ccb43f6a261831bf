package io.calm.graph;

import java.nio.charset.Charset;
import java.util.ArrayList;
import java.util.List;

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
		}))).containsExactly("E0000 an error, größer", "a line of another library");
	}

	@Test
	void linesAreWrittenWhenTheActionFails() {
		assertThat(written(() -> assertThatThrownBy(() -> StandardError.withhold((line) -> false, () -> {
			write("the reason\n");
			throw new IllegalStateException("it failed");
		})).hasMessage("it failed"))).containsExactly("the reason");
	}

	/** What reaches the standard error that an action finds. */
	private static List<String> written(Runnable action) {
		List<String> lines = new ArrayList<>();
		StandardError.withhold(lines::add, action);
		return lines;
	}

	/** As native code does it. */
	private static void write(String text) {
		byte[] bytes = text.getBytes(Charset.defaultCharset());
		assertThat(Function.getFunction("c", "write").invokeInt(new Object[] { 2, bytes, bytes.length }))
			.isEqualTo(bytes.length);
	}

}

package io.calm.input;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * Messages are sentences, whatever their parts are.
 */
class InvalidInputExceptionTests {

	@ParameterizedTest
	@CsvSource(delimiter = '|', textBlock = """
			temperature    | is 1.5                  | temperature is 1.5
			model          | does not exist          | model does not exist
			w.safetensors  | cannot be read: no disk | w.safetensors cannot be read: no disk
			stop strings   | one of them is empty    | stop strings: one of them is empty
			corpus         | there is no such file   | corpus: there is no such file
			model.bin      | its pickle is damaged   | model.bin: its pickle is damaged
			w.safetensors  | issue 7 is open         | w.safetensors: issue 7 is open
			""")
	void theProblemContinuesTheSentenceOrHasItsOwn(String where, String problem, String sentence) {
		InvalidInputException invalid = new InvalidInputException(where, problem, "correct it");
		assertThat(invalid).hasMessage(sentence + "; correct it");
		assertThat(invalid.problem()).isEqualTo(sentence);
		assertThat(invalid.action()).isEqualTo("correct it");
	}

	@Test
	void theFileStandsInFront() {
		InvalidInputException invalid = new InvalidInputException("hidden_act", "is gelu", "use silu")
			.in("config.json");
		assertThat(invalid).hasMessage("config.json: hidden_act is gelu; use silu");
		assertThat(invalid.in("config.json")).isSameAs(invalid);
	}

	@Test
	void aMessageIsOneLine() {
		assertThat(new InvalidInputException("file", "is not\n JSON", "correct\r\nit"))
			.hasMessage("file is not JSON; correct it");
	}

}

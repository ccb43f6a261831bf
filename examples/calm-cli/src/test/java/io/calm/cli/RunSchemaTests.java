package io.calm.cli;

import java.io.IOException;
import java.nio.file.Path;

import com.google.gson.JsonObject;
import org.junit.jupiter.api.Test;

/** The schema of a run's file says what the command knows. */
class RunSchemaTests {

	@Test
	void theSchemaIsThatOfTheCommand() throws IOException {
		JsonObject properties = new JsonObject();
		RunFile.keys(OptionSchema.command("train"))
			.forEach((key, option) -> properties.add(key, OptionSchema.of(option)));
		OptionSchema.assertIsIn(Path.of("../../docs/run.schema.json"), "A run of calm train",
				OptionSchema.of(properties));
	}

}

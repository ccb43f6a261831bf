package io.calm.examples.pipeline;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

import io.calm.Calm;
import io.calm.generation.GenerationEngine;
import io.calm.graph.ProgramOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

/**
 * The model that is trained where there is none.
 */
class StoryModelTests {

	@Test
	void trainsAModelAndGoesOnAfterAnInterruption(@TempDir Path directory) {
		// without fusion, whose compilation takes longer than all the rest
		StoryModel model = new StoryModel(1 << 16, 300, 2, 2, ProgramOptions.DEFAULT);
		Path output = directory.resolve("pipeline-model");
		ByteArrayOutputStream first = new ByteArrayOutputStream();
		PrintStream interrupted = new PrintStream(first, true, StandardCharsets.UTF_8) {

			@Override
			public PrintStream printf(Locale locale, String format, Object... values) {
				if (List.of(values).contains("language-model")) {
					throw new IllegalStateException("interrupted");
				}
				return super.printf(locale, format, values);
			}

		};
		assertThatIllegalStateException().isThrownBy(() -> model.train(output, interrupted));
		assertThat(first.toString(StandardCharsets.UTF_8)).contains("autoencoder     step     2 of 2 ");
		assertThat(output).doesNotExist();

		ByteArrayOutputStream second = new ByteArrayOutputStream();
		model.train(output, new PrintStream(second, true, StandardCharsets.UTF_8));
		assertThat(second.toString(StandardCharsets.UTF_8)).doesNotContain("autoencoder")
			.contains("language-model  step     2 of 2 ");
		try (GenerationEngine engine = Calm.open(output)) {
			assertThat(engine.config().patchSize()).isEqualTo(4);
		}
		assertThat(StoryModel.findOrTrain(directory)).isEqualTo(output);
	}

	@Test
	void takesTheModelOfTheQuickstart(@TempDir Path directory) throws Exception {
		Path quickstart = Files.createDirectory(directory.resolve("quickstart-model"));
		assertThat(StoryModel.findOrTrain(directory)).isEqualTo(quickstart);
		Path own = Files.createDirectory(directory.resolve("pipeline-model"));
		assertThat(StoryModel.findOrTrain(directory)).isEqualTo(own);
	}

}

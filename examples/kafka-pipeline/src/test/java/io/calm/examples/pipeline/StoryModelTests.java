package io.calm.examples.pipeline;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

import io.calm.Calm;
import io.calm.generation.GenerationEngine;
import io.calm.graph.ProgramOptions;
import io.calm.training.Phase;
import io.calm.training.Sample;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingListener;
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
		List<String> first = new ArrayList<>();
		assertThatIllegalStateException().isThrownBy(() -> model.train(output, new TrainingListener() {

			@Override
			public void onStep(StepMetrics step) {
				first.add(step.phase().toString());
				if (step.phase() == Phase.LANGUAGE_MODEL) {
					throw new IllegalStateException("interrupted");
				}
			}

		}));
		assertThat(first).containsExactly("autoencoder", "autoencoder", "language-model");
		assertThat(output).doesNotExist();

		List<String> second = new ArrayList<>();
		List<Sample> samples = new ArrayList<>();
		model.train(output, new TrainingListener() {

			@Override
			public void onStep(StepMetrics step) {
				second.add(step.phase().toString());
			}

			@Override
			public void onSamples(Phase phase, long step, List<Sample> texts) {
				samples.addAll(texts);
			}

		});
		assertThat(second).containsExactly("language-model", "language-model");
		assertThat(samples).isNotEmpty();
		try (GenerationEngine engine = Calm.open(output)) {
			assertThat(engine.config().patchSize()).isEqualTo(4);
		}
		assertThat(StoryModel.find(directory)).isEqualTo(output);
	}

	@Test
	void takesTheModelOfTheQuickstart(@TempDir Path directory) throws Exception {
		Path quickstart = Files.createDirectory(directory.resolve("quickstart-model"));
		assertThat(StoryModel.find(directory)).isEqualTo(quickstart);
		Path own = Files.createDirectory(directory.resolve("pipeline-model"));
		assertThat(StoryModel.find(directory)).isEqualTo(own);
	}

}

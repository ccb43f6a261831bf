package io.calm.cli.ablate;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;

import io.calm.graph.ProgramOptions;
import io.calm.training.Phase;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingListener;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

/** An interruption in the middle of a model. */
class LaboratoryTest {

	@Test
	void continuesFromTheCheckpointOfTheModelThatWasInterrupted(@TempDir Path directory) {
		Study study = new Study("two", "Which?", "arm", Study.Measure.BRIER_LM,
				List.of(Arm.ofModel("one", Arm::nothing), Arm.ofModel("other", (model) -> model.alpha(1.5))));
		Scale scale = new Scale("nano", 4, 8, 32, 0.5, 4, 32, 1e-3, 20, 5, false, 100, 1);
		try (Material material = Material.ofKnownSource(8, 2, 1)) {
			List<String> before = new ArrayList<>();
			assertThatThrownBy(
					() -> laboratory(scale, material, (arm) -> interrupted(arm, before)).run(study, directory))
				.isInstanceOf(IllegalStateException.class)
				.hasMessage("the power fails");
			assertThat(before).contains("one, language-model 20").endsWith("other, language-model 13");
			List<String> after = new ArrayList<>();
			StudyReport report = laboratory(scale, material, (arm) -> listening(arm, after)).run(study, directory);
			// checkpoints are made every second step
			assertThat(after).startsWith("other, language-model 13").endsWith("other, language-model 20").hasSize(8);
			List<String> found = new ArrayList<>();
			report.forEach((name, value) -> found.add(name));
			assertThat(found).containsExactly("one", "other");
		}
	}

	private static Laboratory laboratory(Scale scale, Material material, Function<String, TrainingListener> progress) {
		return new Laboratory(scale, material, ProgramOptions.DEFAULT, ProgramOptions.DEFAULT, progress,
				(arm) -> Optional.empty());
	}

	private static TrainingListener listening(String arm, List<String> steps) {
		return new TrainingListener() {
			@Override
			public void onStep(StepMetrics metrics) {
				steps.add(arm + ", " + metrics.phase() + " " + metrics.step());
			}
		};
	}

	private static TrainingListener interrupted(String arm, List<String> steps) {
		TrainingListener listening = listening(arm, steps);
		return new TrainingListener() {
			@Override
			public void onStep(StepMetrics metrics) {
				listening.onStep(metrics);
				if ("other".equals(arm) && metrics.step() == 13 && metrics.phase() == Phase.LANGUAGE_MODEL) {
					throw new IllegalStateException("the power fails");
				}
			}
		};
	}

}

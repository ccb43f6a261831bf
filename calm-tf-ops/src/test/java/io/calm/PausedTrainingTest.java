package io.calm;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;

import io.calm.input.InvalidInputException;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import io.calm.text.Corpus;
import io.calm.training.Phase;
import io.calm.training.TrainingEnd;
import io.calm.training.TrainingEnd.Outcome;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/** A training that stops for now goes on as if it had not. */
class PausedTrainingTest {

	private static final String WEIGHTS = "model.safetensors";

	private final Path directory;

	private final Path text;

	/** By step. */
	private final Map<Long, Double> scores = new LinkedHashMap<>();

	private final List<Outcome> outcomes = new ArrayList<>();

	PausedTrainingTest(@TempDir Path directory) throws IOException {
		this.directory = directory;
		this.text = Files.writeString(directory.resolve("text.txt"), "red blue ".repeat(200));
	}

	private static Consumer<TrainingOptions.Builder> steps(long steps, long pauseAfter) {
		return (options) -> options.steps(steps)
			.pauseAfter(pauseAfter)
			.batch(2)
			.patches(8)
			.warmup(0)
			.averaging(0.9)
			.evaluateEvery(4);
	}

	private static CalmTraining continuous(CalmTraining training) {
		return training.tokenizer(new ByteTokenizer())
			.autoencoder((shape) -> shape.hiddenSize(16).intermediateSize(16).latentSize(4), steps(2, 0))
			.languageModel("nano", (shape) -> shape.hiddenSize(16).heads(2), steps(10, 0));
	}

	private Path train(String output, long pauseAfter) {
		Path target = this.directory.resolve(output);
		this.scores.clear();
		Calm.train((training) -> training.corpus(this.text)
			.evaluation(Corpus.of(this.text))
			.tokenizer(new ByteTokenizer())
			.baseline("nano", (shape) -> shape.hiddenSize(16).heads(2), steps(10, pauseAfter))
			.program(TinyModel.PROGRAM)
			.output(target)
			.listener(new TrainingListener() {
				@Override
				public void onEvaluation(Phase phase, long step, Map<String, Double> metrics) {
					if (phase == Phase.BASELINE) {
						PausedTrainingTest.this.scores.put(step, metrics.getOrDefault("brier_1", Double.NaN));
					}
				}

				@Override
				public void onTrainingEnd(TrainingEnd end) {
					PausedTrainingTest.this.outcomes.add(end.outcome());
				}
			})).close();
		return target;
	}

	@Test
	void goesOnWithTheSameBits() throws IOException {
		Path whole = train("whole", 0);
		assertThat(this.scores).containsOnlyKeys(4L, 8L, 10L);
		Path parts = train("parts", 3);
		// evaluated where it pauses
		assertThat(this.scores).containsOnlyKeys(3L);
		Path checkpoint = this.directory.resolve("parts.training/baseline");
		assertThat(Files.mismatch(checkpoint.resolve(WEIGHTS), whole.resolve(WEIGHTS))).isNotNegative();
		assertThat(parts).doesNotExist();
		train("parts", 3);
		assertThat(this.scores).as("of a pause that has its score").isEmpty();
		train("parts", 6);
		assertThat(this.scores).containsOnlyKeys(4L, 6L);
		assertThat(parts).doesNotExist();
		train("parts", 10);
		assertThat(this.scores).containsOnlyKeys(8L, 10L);
		assertThat(parts.resolve(WEIGHTS)).hasSameBinaryContentAs(whole.resolve(WEIGHTS));
		assertThat(this.directory.resolve("parts.training")).doesNotExist();
		assertThat(this.outcomes).containsExactly(Outcome.FINISHED, Outcome.PAUSED, Outcome.PAUSED, Outcome.PAUSED,
				Outcome.FINISHED);
	}

	@Test
	void autoencoderDoesNotPause() {
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> Calm.flopsPerStep((training) -> continuous(training).autoencoder(steps(4, 2))))
			.withMessage("autoencoder, pause is after step 2; leave it out: only the language model may pause");
	}

	@Test
	void countsOperationsBeforeItBegins() {
		Consumer<CalmTraining> batchOf2 = PausedTrainingTest::continuous;
		Map<Phase, Double> flops = Calm.flopsPerStep(batchOf2);
		assertThat(flops).containsOnlyKeys(Phase.AUTOENCODER, Phase.LANGUAGE_MODEL);
		Map<Phase, Double> twice = Calm.flopsPerStep(batchOf2
			.andThen((training) -> training.languageModel((options) -> options.steps(10).batch(4).patches(8))));
		assertThat(twice.get(Phase.LANGUAGE_MODEL)).isEqualTo(2 * flops.getOrDefault(Phase.LANGUAGE_MODEL, 0.0));
		assertThat(twice.get(Phase.AUTOENCODER)).isEqualTo(flops.get(Phase.AUTOENCODER));
	}

}

package io.calm.training;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.model.CalmConfig;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import io.calm.text.TokenStore;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;

/**
 * A training that was stopped, by whatever, and goes on ends with the same bits as one
 * that was not. As a training from the first step on would end with these bits too, the
 * tests look at the step at which it went on.
 */
class ResumeTest {

	private static final int STEPS = 40;

	private static Path shared;

	private Path directory;

	@BeforeAll
	static void trainUninterrupted(@TempDir Path shared) {
		ResumeTest.shared = shared;
		autoencoder(shared.resolve("autoencoder"), 3, 1, new FirstStep());
		languageModel(shared.resolve("autoencoder"), shared.resolve("uninterrupted"), STEPS, 1, new FirstStep());
	}

	@BeforeEach
	void begin(@TempDir Path directory) {
		this.directory = directory;
	}

	@ParameterizedTest
	@ValueSource(ints = { 1, 2 })
	void autoencoderGoesOnExactly(int accumulation) {
		Path whole = this.directory.resolve("whole");
		Path parts = this.directory.resolve("parts");
		autoencoder(whole, STEPS, accumulation, new FirstStep());
		autoencoder(parts, STEPS / 2, accumulation, new FirstStep());
		assertThat(parts.resolve("model.safetensors"))
			.satisfies((half) -> assertThat(Files.mismatch(half, whole.resolve("model.safetensors")))
				.as("the second half changes the weights")
				.isNotNegative());
		FirstStep second = new FirstStep();
		autoencoder(parts, STEPS, accumulation, second);
		assertThat(second.step).isEqualTo(STEPS / 2 + 1);
		assertSame(parts, whole);
	}

	@ParameterizedTest
	@ValueSource(booleans = { true, false })
	void languageModelGoesOnExactly(boolean ofThePaper) {
		Consumer<CalmConfig.Builder> objective = ofThePaper ? (model) -> model.tokenLoss(0).copySize(0) : (model) -> {
		};
		Path autoencoder = shared.resolve("autoencoder");
		Path whole = this.directory.resolve("whole");
		Path parts = this.directory.resolve("parts");
		languageModel(autoencoder, whole, objective, options(STEPS, 2, 0), new FirstStep());
		languageModel(autoencoder, parts, objective, options(STEPS / 2, 2, 0), new FirstStep());
		FirstStep second = new FirstStep();
		languageModel(autoencoder, parts, objective, options(STEPS, 2, 0), second);
		assertThat(second.step).isEqualTo(STEPS / 2 + 1);
		assertSame(parts, whole);
	}

	@ParameterizedTest
	@ValueSource(ints = { 1, 2 })
	void baselineGoesOnExactly(int accumulation) {
		Path whole = this.directory.resolve("whole");
		Path parts = this.directory.resolve("parts");
		double[] losses = new double[2];
		baseline(whole, STEPS, accumulation, new TrainingListener() {
			@Override
			public void onStep(StepMetrics metrics) {
				losses[(metrics.step() == 1) ? 0 : 1] = metrics.loss();
			}
		});
		assertThat(losses[1]).as("it learns").isLessThan(losses[0] - 1);
		baseline(parts, STEPS / 2, accumulation, new FirstStep());
		FirstStep second = new FirstStep();
		baseline(parts, STEPS, accumulation, second);
		assertThat(second.step).isEqualTo(STEPS / 2 + 1);
		assertSame(parts, whole);
	}

	@Test
	void goesOnAfterKill9() throws IOException, InterruptedException {
		Path killed = this.directory.resolve("killed");
		Process child = new ProcessBuilder(Path.of(System.getProperty("java.home"), "bin", "java").toString(),
				"-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", System.getProperty("java.class.path"),
				Killed.class.getName(), shared.resolve("autoencoder").toString(), killed.toString())
			.redirectErrorStream(true)
			.start();
		try (BufferedReader output = child.inputReader(StandardCharsets.UTF_8)) {
			StringBuilder all = new StringBuilder();
			for (String line = ""; !line.equals("step 20"); all.append(line).append('\n')) {
				line = output.readLine();
				assertThat(line).as("the next line of the child after\n" + all).isNotNull();
			}
		}
		finally {
			child.destroyForcibly().waitFor();
		}

		FirstStep resumed = new FirstStep();
		languageModel(shared.resolve("autoencoder"), killed, STEPS, 1, resumed);
		// the step that was reported may not have been saved, the one before was
		assertThat(resumed.step).isBetween(20L, STEPS - 1L);
		assertSame(killed, shared.resolve("uninterrupted"));
		try (Stream<Path> files = Files.list(this.directory)) {
			assertThat(files).as("what the killed process left behind is gone").containsExactly(killed);
		}
	}

	/** A moment too short to be hit by chance. */
	@Test
	void goesOnWhenKilledBetweenTheRenamesOfACheckpoint() throws IOException {
		Path killed = this.directory.resolve("killed");
		autoencoder(killed, STEPS / 2, 1, new FirstStep());
		Files.move(killed, this.directory.resolve(".killed.previous"));
		FirstStep resumed = new FirstStep();
		autoencoder(killed, STEPS, 1, resumed);
		assertThat(resumed.step).isEqualTo(STEPS / 2 + 1);
	}

	private static void assertSame(Path actual, Path expected) {
		for (String file : List.of("model.safetensors", "optimizer.safetensors", "trainer_state.json")) {
			assertThat(actual.resolve(file)).hasSameBinaryContentAs(expected.resolve(file));
		}
	}

	private static void autoencoder(Path directory, long steps, int accumulation, TrainingListener listener) {
		try (TokenStore text = TinyModel.text(1)) {
			new Trainer(Trainable.autoencoder(TinyModel.autoencoder().build()), options(steps, accumulation, 0),
					TinyModel.PROGRAM, List.of(listener))
				.train(text, directory, new ByteTokenizer()::save);
		}
	}

	private static void baseline(Path directory, long steps, int accumulation, TrainingListener listener) {
		try (TokenStore text = TinyModel.text(1)) {
			new Trainer(Trainable.baseline(TinyModel.baseline(new ByteTokenizer().vocabularySize(), 0)),
					options(steps, accumulation, 0), TinyModel.PROGRAM, List.of(listener))
				.train(text, directory, new ByteTokenizer()::save);
		}
	}

	private static void languageModel(Path autoencoder, Path directory, long steps, int accumulation,
			TrainingListener listener) {
		languageModel(autoencoder, directory, options(steps, accumulation, 0), listener);
	}

	private static void languageModel(Path autoencoder, Path directory, TrainingOptions options,
			TrainingListener listener) {
		languageModel(autoencoder, directory, (model) -> {
		}, options, listener);
	}

	private static void languageModel(Path autoencoder, Path directory, Consumer<CalmConfig.Builder> objective,
			TrainingOptions options, TrainingListener listener) {
		CalmConfig.Builder model = TinyModel.calm().layers(1).headBlocks(1);
		objective.accept(model);
		try (TokenStore text = TinyModel.text(1)) {
			AutoencoderConfig shape = TinyModel.autoencoder().build();
			new Trainer(Trainable.languageModel(model.build(shape), shape).over(autoencoder), options,
					TinyModel.PROGRAM, List.of(listener))
				.train(text, directory, new ByteTokenizer()::save);
		}
	}

	/** The rate is constant, as a cosine would know the last step. */
	private static TrainingOptions options(long steps, int accumulation, long checkpointEvery) {
		return TrainingOptions.of((training) -> training.steps(steps)
			.batch(2)
			.patches(8)
			.accumulation(accumulation)
			.learningRate(3e-3)
			.warmup(5)
			.decay(LearningRate.Decay.CONSTANT)
			.averaging(0.9)
			.checkpointEvery(checkpointEvery)
			.seed(7));
	}

	private static final class FirstStep implements TrainingListener {

		private long step;

		@Override
		public void onStart(TrainingStart start) {
			this.step = start.firstStep();
		}

	}

	/** The process to be killed. */
	static final class Killed {

		private Killed() {
		}

		public static void main(String[] arguments) {
			// most of its time goes into writing checkpoints, and there the kill should
			// fall
			TrainingOptions options = options(STEPS, 1, 1);
			languageModel(Path.of(arguments[0]), Path.of(arguments[1]), options, new TrainingListener() {
				@Override
				public void onStep(StepMetrics metrics) {
					System.out.println("step " + metrics.step());
					if (metrics.step() == STEPS - 1) {
						waitForEndOfInput();
					}
				}
			});
		}

		/** Until this process is killed, or the one that should do it is gone. */
		private static void waitForEndOfInput() {
			try {
				while (System.in.read() >= 0) {
				}
			}
			catch (IOException ex) {
				throw new IllegalStateException(ex);
			}
		}

	}

}

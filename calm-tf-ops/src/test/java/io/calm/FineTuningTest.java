package io.calm;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Stream;

import io.calm.checkpoint.OutputLock;
import io.calm.generation.GenerationEngine;
import io.calm.input.InvalidInputException;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import io.calm.text.Corpus;
import io.calm.training.Phase;
import io.calm.training.StepMetrics;
import io.calm.training.TrainingException;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingOptions;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/** A model that learns two words, and then two others. */
class FineTuningTest {

	private static final String WEIGHTS = "model.safetensors";

	/** What was told of trainings of so many steps that nothing has interrupted. */
	private static final Map<Long, Events> UNINTERRUPTED = new HashMap<>();

	private static Path base;

	private static Path text;

	private static Path unseen;

	private Path output;

	@BeforeAll
	static void trainBase(@TempDir Path directory) throws IOException {
		base = directory.resolve("base");
		text = Files.writeString(directory.resolve("text.txt"), "red blue ".repeat(400));
		unseen = Files.writeString(directory.resolve("unseen.txt"), "red blue ".repeat(80));
		// the autoencoder, which stays, has to know the letters of the new text
		Path first = Files.writeString(directory.resolve("first.txt"),
				"one two. ".repeat(200) + "red blue ".repeat(200));
		Calm.train((training) -> training.corpus(first)
			.tokenizer(new ByteTokenizer())
			.autoencoder((shape) -> shape.hiddenSize(32).intermediateSize(64).latentSize(8), length(150))
			.languageModel("nano",
					(shape) -> shape.hiddenSize(16).heads(2).headBlocks(1).noiseSize(8).samples(4).targets(5),
					length(20))
			.program(TinyModel.PROGRAM)
			.output(base)).close();
	}

	@BeforeEach
	void chooseOutput(@TempDir Path directory) {
		this.output = directory.resolve("model");
	}

	@AfterEach
	void leaveNoInterrupt() {
		Thread.interrupted();
	}

	private static Consumer<TrainingOptions.Builder> length(long steps) {
		return (options) -> options.steps(steps).batch(4).patches(8).learningRate(3e-3).warmup(0);
	}

	private void tune(Consumer<CalmTraining> training) {
		Calm.train((options) -> {
			options.base(base).corpus(text).program(TinyModel.PROGRAM).output(this.output);
			training.accept(options);
		}).close();
	}

	/** Scores, best models and the last step of a training. */
	private static final class Events implements TrainingListener {

		private final List<Long> evaluated = new ArrayList<>();

		private final List<Double> scores = new ArrayList<>();

		private final List<Long> best = new ArrayList<>();

		private long last;

		@Override
		public void onEvaluation(Phase phase, long step, Map<String, Double> metrics) {
			this.evaluated.add(step);
			this.scores.add(metrics.getOrDefault("brier_1", Double.NaN));
		}

		@Override
		public void onBest(Phase phase, long step, Path directory) {
			assertThat(directory.resolve(WEIGHTS)).isRegularFile();
			this.best.add(step);
		}

		@Override
		public void onEnd(Phase phase, long step) {
			this.last = step;
		}

	}

	@Test
	void beginsWithTheBaseAndKeepsItsAutoencoder() throws IOException {
		Events events = new Events();
		tune((training) -> training.languageModel(length(200).andThen((options) -> options.evaluateEvery(200)))
			.evaluation(Corpus.of(unseen))
			.listener(events));
		assertThat(events.evaluated).containsExactly(0L, 200L);
		assertThat(events.scores.get(1)).as("Brier-1 of the new text").isGreaterThan(events.scores.get(0) + 0.05);
		assertThat(this.output.resolve("autoencoder").resolve(WEIGHTS))
			.hasSameBinaryContentAs(base.resolve("autoencoder").resolve(WEIGHTS));
		assertThat(this.output.resolve("config.json")).hasSameBinaryContentAs(base.resolve("config.json"));
		assertThat(Files.mismatch(this.output.resolve(WEIGHTS), base.resolve(WEIGHTS))).isNotNegative();
	}

	@Test
	void textsAreTokenizedOnce() {
		List<Long> told = new ArrayList<>();
		Consumer<CalmTraining> options = (training) -> training.languageModel(length(1))
			.evaluation(Corpus.of(unseen))
			.listener(new TrainingListener() {

				@Override
				public void onTokens(long bytes, long ofBytes, long tokens) {
					told.add(tokens);
				}

			});
		tune(options);
		List<Long> first = List.copyOf(told);
		assertThat(first).isNotEmpty();
		this.output = this.output.resolveSibling("other");
		tune(options);
		assertThat(told).isEqualTo(first);
	}

	@Test
	void trainsTheAutoencoderOnWhenAsked() throws IOException {
		tune((training) -> training.autoencoder(length(1)).languageModel(length(1)));
		assertThat(Files.mismatch(this.output.resolve("autoencoder").resolve(WEIGHTS),
				base.resolve("autoencoder").resolve(WEIGHTS)))
			.isNotNegative();
		assertThat(this.output.resolveSibling("model.training")).doesNotExist();
	}

	/** At a rate of nothing no model is better than the base: the first one counts. */
	@Test
	void stopsWhenNothingGetsBetterAndKeepsTheBest() {
		Events events = new Events();
		tune((training) -> training
			.languageModel(length(50).andThen((options) -> options.learningRate(1e-30).evaluateEvery(2).patience(3)))
			.evaluation(Corpus.of(unseen))
			.listener(events));
		assertThat(events.evaluated).containsExactly(0L, 2L, 4L, 6L);
		assertThat(events.best).containsExactly(0L);
		assertThat(events.last).isEqualTo(6);
		assertThat(this.output.resolve(WEIGHTS)).hasSameBinaryContentAs(base.resolve(WEIGHTS));
	}

	/** Steps in all, and of the interrupt. */
	static Stream<Arguments> interrupts() {
		Stream<Arguments> some = Stream.of(Arguments.of(12, 4), Arguments.of(3, 3));
		return Boolean.getBoolean("calm.long")
				? Stream.concat(some, Stream.of(Arguments.of(12, 2), Arguments.of(12, 3))) : some;
	}

	/**
	 * At steps 2, 3 (the last) and 4 (where it stops early), the interrupt comes before
	 * the evaluation.
	 */
	@ParameterizedTest
	@MethodSource("interrupts")
	void goesOnExactlyAlsoWithPatience(long steps, long at) {
		Consumer<CalmTraining> options = (training) -> training
			.languageModel(length(steps).andThen((length) -> length.evaluateEvery(2).checkpointEvery(1).patience(2)))
			.evaluation(Corpus.of(unseen));
		Path expected = base.resolveSibling("uninterrupted-" + steps);
		Events whole = UNINTERRUPTED.computeIfAbsent(steps, (length) -> {
			Events events = new Events();
			tune(options.andThen((training) -> training.listener(events).output(expected)));
			return events;
		});

		Events first = new Events();
		assertThatExceptionOfType(TrainingException.class)
			.isThrownBy(() -> tune(options.andThen((training) -> training.listener(first).listener(interrupt(at)))));
		assertThat(Thread.interrupted()).isTrue();
		Events second = new Events();
		tune(options.andThen((training) -> training.listener(second)));
		List<Long> evaluated = new ArrayList<>(first.evaluated);
		evaluated.addAll(second.evaluated);
		assertThat(evaluated).isEqualTo(whole.evaluated);
		assertThat(second.last).isEqualTo(whole.last);
		assertThat(this.output.resolve(WEIGHTS)).hasSameBinaryContentAs(expected.resolve(WEIGHTS));
	}

	private static TrainingListener interrupt(long at) {
		return new TrainingListener() {
			@Override
			public void onStep(StepMetrics metrics) {
				if (metrics.step() == at) {
					Thread.currentThread().interrupt();
				}
			}
		};
	}

	/** All steps are done; what is left is to copy the model. */
	@Test
	void anInterruptAfterTheLastStepIsNoFaultOfAFile() {
		Consumer<CalmTraining> options = (training) -> training.languageModel(length(1));
		assertThatExceptionOfType(TrainingException.class)
			.isThrownBy(() -> tune(options.andThen((training) -> training.listener(new TrainingListener() {
				@Override
				public void onEnd(Phase phase, long step) {
					Thread.currentThread().interrupt();
				}
			}))))
			.withMessageContaining("was interrupted");
		assertThat(Thread.interrupted()).isTrue();
		assertThat(this.output).doesNotExist();
		tune(options);
		assertThat(this.output.resolve(WEIGHTS)).exists();
	}

	@Test
	void refusesWhatTheBaseDecides() {
		assertRefused((training) -> training.tokenizer(new ByteTokenizer()), "base is given, and so is the tokenizer");
		assertRefused((training) -> training.autoencoder((shape) -> {
		}, length(1)), "base is given, and so is the autoencoder's shape");
		assertRefused((training) -> training.languageModel("nano", (shape) -> {
		}, length(1)), "base is given, and so is the language model's shape");
		assertRefused((training) -> training.languageModel(length(1).andThen((options) -> options.patience(1))),
				"training, patience is 1, but nothing is evaluated");
		assertRefused(
				(training) -> training
					.languageModel(length(1).andThen((options) -> options.patience(1).evaluateEvery(1))),
				"training, patience is 1, but there is no text to evaluate on");
	}

	@Test
	void refusesOtherModels(@TempDir Path directory) throws IOException {
		assertRefused((training) -> training.base(base.resolve("autoencoder")), "is no CALM language model");
		Path alone = Files.createDirectory(directory.resolve("alone"));
		for (String file : List.of("config.json", WEIGHTS)) {
			Files.copy(base.resolve(file), alone.resolve(file));
		}
		assertRefused((training) -> training.base(alone), "has no directory autoencoder/");
	}

	/** As an imported model may have it. */
	@Test
	void theBasesAutoencoderMayBeInParts(@TempDir Path directory) throws IOException {
		Path parts = directory.resolve("parts");
		copy(base, parts);
		Path autoencoder = parts.resolve("autoencoder");
		Files.move(autoencoder.resolve(WEIGHTS), autoencoder.resolve("model-00001-of-00001.safetensors"));
		Files.writeString(autoencoder.resolve("model.safetensors.index.json"),
				"{\"weight_map\":{\"encoder.embed_tokens.weight\":\"model-00001-of-00001.safetensors\"}}");
		tune((training) -> training.base(parts).languageModel(length(1)));
		assertThat(this.output.resolve("autoencoder/model-00001-of-00001.safetensors"))
			.hasSameBinaryContentAs(base.resolve("autoencoder").resolve(WEIGHTS));
		GenerationEngine.open(this.output, (options) -> options.slots(1).program(TinyModel.PROGRAM)).close();
	}

	@Test
	void twoTrainingsDoNotWriteToOnePlace() throws IOException {
		try (OutputLock first = OutputLock.of(this.output)) {
			assertRefused((training) -> training.languageModel(length(1)), "is being written by another training");
			assertRefused((training) -> training.languageModel(length(1)), "is being written by another training");
		}
		tune((training) -> training.languageModel(length(1)));
		try (var left = Files.list(this.output.resolveSibling(""))) {
			assertThat(left).containsExactlyInAnyOrder(this.output, this.output.resolveSibling("tokens"));
		}
	}

	@Test
	void goesOnWithTheSameBaseOnly(@TempDir Path directory) throws IOException {
		Consumer<CalmTraining> options = (training) -> training.languageModel(length(3));
		assertThatExceptionOfType(TrainingException.class)
			.isThrownBy(() -> tune(options.andThen((training) -> training.listener(interrupt(1)))));
		assertThat(Thread.interrupted()).isTrue();
		Path other = directory.resolve("other");
		copy(base, other);
		assertRefused(options.andThen((training) -> training.base(other)), "was trained with another base");
	}

	private static void copy(Path from, Path to) throws IOException {
		try (var files = Files.walk(from)) {
			for (Path file : files.toList()) {
				Files.copy(file, to.resolve(from.relativize(file).toString()));
			}
		}
	}

	private void assertRefused(Consumer<CalmTraining> training, String message) {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> tune(training))
			.withMessageContaining(message);
		assertThat(this.output).doesNotExist();
	}

}

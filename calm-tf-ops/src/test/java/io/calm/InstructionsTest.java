package io.calm;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.IntStream;

import io.calm.evaluation.ExactMatch;
import io.calm.evaluation.ExactMatchScoring;
import io.calm.generation.GenerationEngine;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import io.calm.text.Corpus;
import io.calm.training.Phase;
import io.calm.training.TrainingException;
import io.calm.training.TrainingListener;
import io.calm.training.TrainingOptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/** A model that has read words, and learns to say what they are. */
class InstructionsTest {

	private static final Map<String, String> KINDS = new TreeMap<>(
			Map.of("cat", "animal", "dog", "animal", "cow", "animal", "red", "color", "tan", "color", "sky", "other"));

	private final Path directory;

	private final Path questions;

	private final Path unseen;

	InstructionsTest(@TempDir Path directory) throws IOException {
		this.directory = directory;
		this.questions = Files.writeString(directory.resolve("questions.jsonl"), questions(400, 1));
		this.unseen = Files.writeString(directory.resolve("unseen.jsonl"), questions(40, 2));
	}

	/** Where the word stands, and what stands before it, is chance. */
	private static String questions(int count, long seed) {
		Random random = new Random(seed);
		StringBuilder lines = new StringBuilder();
		String[] words = KINDS.keySet().toArray(String[]::new);
		for (int i = 0; i < count; i++) {
			String word = words[random.nextInt(words.length)];
			lines
				.append("{\"messages\": [{\"role\": \"user\", \"content\": \"%s%s?\"}, "
					.formatted("-".repeat(random.nextInt(6)), word))
				.append("{\"role\": \"assistant\", \"content\": \"%s\"}]}%n".formatted(KINDS.get(word)));
		}
		return lines.toString();
	}

	private Path text() throws IOException {
		Random random = new Random(3);
		StringBuilder text = new StringBuilder();
		String[] words = KINDS.keySet().toArray(String[]::new);
		for (int i = 0; i < 1000; i++) {
			String word = words[random.nextInt(words.length)];
			text.append("-".repeat(random.nextInt(6)))
				.append(word)
				.append("? ")
				.append(KINDS.get(words[random.nextInt(words.length)]))
				.append(' ');
		}
		return Files.writeString(this.directory.resolve("text.txt"), text);
	}

	private static Consumer<TrainingOptions.Builder> length(long steps, int patches, double rate) {
		return (options) -> options.steps(steps).batch(8).patches(patches).learningRate(rate).warmup(10);
	}

	private double exactMatch(GenerationEngine model) {
		ExactMatch match = new ExactMatchScoring(ExactMatchScoring.TEMPERATURE, 0, 1).score(model,
				Corpus.of(this.unseen));
		assertThat(match.answers()).isEqualTo(40);
		return match.share();
	}

	static IntStream patchSizes() {
		return Boolean.getBoolean("calm.long") ? IntStream.of(2, 4) : IntStream.of(4);
	}

	@ParameterizedTest
	@MethodSource("patchSizes")
	void aModelLearnsToAnswer(int patchSize) throws IOException {
		Path text = text();
		Path base = this.directory.resolve("base");
		try (GenerationEngine model = Calm.train((training) -> training.corpus(text)
			.tokenizer(new ByteTokenizer())
			.autoencoder((shape) -> shape.patchSize(patchSize).hiddenSize(32).intermediateSize(64).latentSize(16),
					length(100, 16, 5e-3))
			.languageModel("nano", (shape) -> shape.hiddenSize(32).heads(2).noiseSize(8).samples(4).targets(5),
					length(20, 16, 3e-3))
			.program(TinyModel.PROGRAM)
			.output(base))) {
			assertThat(exactMatch(model)).isLessThan(0.2);
		}
		try (GenerationEngine model = Calm.train((training) -> training.base(base)
			.corpus(this.questions)
			// which has seen no end of a short text yet
			.autoencoder(length(300, 16, 5e-3))
			.languageModel(length(150, 16, 3e-3))
			.program(TinyModel.PROGRAM)
			.output(this.directory.resolve("tuned")))) {
			assertThat(exactMatch(model)).isGreaterThanOrEqualTo(0.9);
		}
	}

	@Test
	void aBaselineLearnsToAnswer() throws IOException {
		Path text = text();
		Path base = this.directory.resolve("base");
		try (GenerationEngine model = Calm.train((training) -> training.corpus(text)
			.tokenizer(new ByteTokenizer())
			.baseline("nano", (shape) -> shape.hiddenSize(32).heads(2), length(20, 64, 3e-3))
			.program(TinyModel.PROGRAM)
			.output(base))) {
			assertThat(exactMatch(model)).isLessThan(0.2);
		}
		try (GenerationEngine model = Calm.train((training) -> training.base(base)
			.corpus(this.questions)
			.languageModel(length(150, 64, 1e-2))
			.program(TinyModel.PROGRAM)
			.output(this.directory.resolve("tuned")))) {
			assertThat(exactMatch(model)).isGreaterThanOrEqualTo(0.9);
		}
	}

	/** An interrupt, as by a crash, changes no bit of the model. */
	@Test
	void anInterruptedTrainingEndsWithTheSameModel() throws IOException {
		Path base = this.directory.resolve("base");
		Calm.train((training) -> training.corpus(this.questions)
			.tokenizer(new ByteTokenizer())
			.autoencoder((shape) -> shape.hiddenSize(16).intermediateSize(32).latentSize(8), length(1, 8, 1e-3))
			.languageModel("nano",
					(shape) -> shape.hiddenSize(16).heads(2).headBlocks(1).noiseSize(8).samples(4).targets(5),
					length(1, 8, 1e-3))
			.program(TinyModel.PROGRAM)
			.output(base)).close();
		Path whole = this.directory.resolve("whole");
		Path interrupted = this.directory.resolve("interrupted");
		tune(base, whole, new TrainingListener() {
		});
		assertThatExceptionOfType(TrainingException.class)
			.isThrownBy(() -> tune(base, interrupted, new TrainingListener() {
				@Override
				public void onCheckpoint(Phase phase, long step, Path directory) {
					Thread.currentThread().interrupt();
				}
			}));
		assertThat(Thread.interrupted()).isTrue();
		assertThat(interrupted).doesNotExist();
		tune(base, interrupted, new TrainingListener() {
		});
		assertThat(interrupted.resolve("model.safetensors")).hasSameBinaryContentAs(whole.resolve("model.safetensors"));
	}

	private void tune(Path base, Path output, TrainingListener listener) {
		Calm.train((training) -> training.base(base)
			.corpus(this.questions)
			.languageModel((options) -> options.steps(6).batch(4).patches(8).checkpointEvery(3).averaging(0.9))
			.program(TinyModel.PROGRAM)
			.listener(listener)
			.output(output)).close();
	}

}

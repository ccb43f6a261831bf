package io.calm.evaluation;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.SplittableRandom;

import io.calm.Calm;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.text.ByteTokenizer;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

class ContinuationScoringTest {

	private static final ContinuationScoring SCORING = new ContinuationScoring(50, false, 1);

	private static Path model = Path.of("");

	/** It learns the one text that there is. */
	@BeforeAll
	static void train(@TempDir Path directory) throws IOException {
		Path corpus = Files.writeString(directory.resolve("corpus.txt"),
				"One fish. Two fish. Red fish. Blue fish.\n\n".repeat(50));
		model = directory.resolve("model");
		Calm.train((training) -> training.corpus(corpus)
			.tokenizer(new ByteTokenizer())
			.autoencoder((shape) -> shape.patchSize(4).hiddenSize(32).latentSize(16).layers(2).dropout(0),
					(options) -> options.steps(150).batch(4).patches(16).learningRate(5e-3))
			.languageModel("nano", (shape) -> shape.hiddenSize(32).layers(1).heads(2).noiseSize(8).targets(8),
					(options) -> options.steps(150).batch(4).patches(16).learningRate(5e-3))
			.program(ProgramOptions.DEFAULT)
			.output(model)).close();
	}

	private static List<ContinuationScore> score(ContinuationScoring scoring, String prompt, String... texts) {
		return scoring.score(model, prompt, List.of(texts), ProgramOptions.DEFAULT);
	}

	@Test
	void whatTheModelHasLearnedFitsBest() {
		List<ContinuationScore> scores = score(SCORING, "One fish. Two", " fish. Red fish.", " fish. Two dogs.",
				"%$#!&*()=+[]{}<>");
		assertThat(scores).extracting(ContinuationScore::energy)
			.isSortedAccordingTo((one, other) -> Double.compare(other, one));
		assertThat(scores.get(0).brier().get(3)).isGreaterThan(scores.get(1).brier().get(3));
		assertThat(scores.get(0).patches()).extracting(ContinuationScore.Patch::text)
			.containsExactly(" fis", "h. R", "ed f", "ish.");
		assertThat(scores.get(0).patches()).allSatisfy((patch) -> assertThat(patch.share()).isPositive());
		assertThat(scores.get(2).patches()).allSatisfy((patch) -> assertThat(patch.share()).isZero());
	}

	/** And the seed alone decides what is drawn. */
	@Test
	void whatBeginsAlikeIsScoredAlike() {
		List<ContinuationScore> scores = score(SCORING, "One", " fish. Two fish.", " fish. Two dogs.");
		assertThat(scores.get(0).patches().subList(0, 2)).isEqualTo(scores.get(1).patches().subList(0, 2));
		assertThat(scores.get(0).patches().get(2).energy()).isNotEqualTo(scores.get(1).patches().get(2).energy());
		assertThat(score(SCORING, "One", " fish. Two dogs.").get(0)).isEqualTo(scores.get(1));
		assertThat(score(new ContinuationScoring(50, false, 2), "One", " fish. Two dogs.").get(0))
			.isNotEqualTo(scores.get(1));
	}

	@Test
	void moreDrawsSayTheSameMorePrecisely() {
		double few = score(new ContinuationScoring(200, false, 1), "One", " fish. Two fish.").get(0).energy();
		double many = score(new ContinuationScoring(1000, false, 2), "One", " fish. Two fish.").get(0).energy();
		assertThat(few).isCloseTo(many, within(0.1 * Math.abs(many)));
	}

	@Test
	void aTextThatEndsHasItsEnd() {
		ContinuationScoring complete = new ContinuationScoring(50, true, 1);
		// EOS takes a patch of its own
		assertThat(score(complete, "One", " fish. Two fish.").get(0).patches()).hasSize(5);
		assertThat(score(complete, "One", " fis").get(0).patches()).hasSize(2);
		assertThat(score(complete, "One", " fi").get(0).patches()).hasSize(1);
		// what fills no patch may go on in any way
		assertThat(score(SCORING, "One", " fish. ").get(0)).isEqualTo(score(SCORING, "One", " fis").get(0));
	}

	@Test
	void aTextWithoutAPrompt() {
		assertThat(score(SCORING, "", "One fish. Two fish.").get(0).patches()).extracting(ContinuationScore.Patch::text)
			.containsExactly("One ", "fish", ". Tw", "o fi");
	}

	@Test
	void brierIsThatOfAllPairs() {
		SplittableRandom random = new SplittableRandom(1);
		int[][] draws = new int[20][4];
		for (int[] draw : draws) {
			for (int i = 0; i < 4; i++) {
				draw[i] = random.nextInt(2);
			}
		}
		int[] truth = { 0, 1, 0, 1 };
		double[] mean = new double[4];
		for (int i = 0; i < 20; i++) {
			for (int j = 0; j < 20; j++) {
				for (int n = 0; n < 4 && i != j; n++) {
					mean[n] += Brier.estimate(draws[i], draws[j], truth, 4)[n] / (20 * 19);
				}
			}
		}
		List<Double> brier = ContinuationScoring.brier(draws, truth);
		for (int n = 0; n < 4; n++) {
			assertThat(brier.get(n)).isCloseTo(mean[n], within(1e-12));
		}
		assertThat(ContinuationScoring.brier(draws, new int[] { 0, 1 })).isEqualTo(brier.subList(0, 2));
	}

	@Test
	void whatCannotBeScored() {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> score(SCORING, "One", ""))
			.withMessage("text is 0 tokens long, where a patch has 4; give a longer one");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> score(SCORING, "One", " fi"))
			.withMessage("text is 3 tokens long, where a patch has 4; give a longer one");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> score(SCORING, "One", "a".repeat(9000)))
			.withMessageContaining("prompt and text are 2251 patches long together, where the model's context is ");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> new ContinuationScoring(1, true, 1))
			.withMessage("samples is 1; choose from 2 to 1000");
	}

}

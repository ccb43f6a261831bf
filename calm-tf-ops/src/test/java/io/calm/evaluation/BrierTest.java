package io.calm.evaluation;

import java.util.Arrays;
import java.util.SplittableRandom;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

class BrierTest {

	/**
	 * The tensors brier_case.* of shared/reference/energy/io.safetensors, computed by the
	 * reference: two documents of seven patches.
	 */
	@Test
	void agreesWithTheReference() {
		int[] x1 = { 55, 3, 92, 58, 35, 84, 3, 47, 91, 75, 92, 83, 19, 47, 92, 36, 57, 3, 68, 83, 35, 3, 3, 66, 35, 3,
				3, 66, 75, 3, 92, 12, 44, 53, 23, 41, 35, 13, 69, 47, 35, 93, 3, 96, 22, 3, 89, 83, 91, 84, 3, 47, 35,
				93, 3, 96 };
		int[] x2 = { 35, 3, 92, 58, 35, 84, 3, 47, 91, 75, 92, 83, 85, 7, 92, 36, 57, 3, 3, 47, 35, 3, 3, 47, 35, 3, 3,
				95, 75, 3, 92, 12, 44, 49, 47, 41, 35, 13, 69, 66, 35, 93, 31, 96, 22, 3, 89, 23, 51, 84, 3, 47, 35, 93,
				3, 96 };
		int[] y = { 42, 3, 63, 58, 35, 84, 3, 15, 91, 83, 8, 68, 60, 47, 70, 36, 57, 3, 68, 89, 35, 3, 95, 66, 35, 3, 3,
				66, 78, 59, 79, 12, 47, 60, 9, 41, 35, 20, 69, 52, 35, 93, 3, 96, 22, 26, 89, 83, 91, 84, 3, 47, 35, 93,
				36, 96 };
		Brier brier = new Brier();
		for (int i = 0; i < y.length; i += 4) {
			brier.add(i / 28, Arrays.copyOfRange(x1, i, i + 4), Arrays.copyOfRange(x2, i, i + 4),
					Arrays.copyOfRange(y, i, i + 4));
		}
		BrierScore score = brier.score();
		double[] reference = { 0.5714285969734192, 0.2142857164144516, -0.0714285746216774, -0.0714285746216774 };
		assertThat(score.brier()).containsExactly(reference, within(1e-7));
		assertThat(score.positions()).isEqualTo(14);
		// the product of the four is positive
		assertThat(score.brierLm()).isZero();
	}

	@Test
	void perfectAndHopeless() {
		Brier perfect = new Brier();
		perfect.add(0, new int[] { 1, 2, 3, 4 }, new int[] { 1, 2, 3, 4 }, new int[] { 1, 2, 3, 4 });
		assertThat(perfect.score().brier()).containsExactly(1, 1, 1, 1);
		assertThat(perfect.score().brierLm()).isEqualTo(100);
		Brier hopeless = new Brier();
		hopeless.add(0, new int[] { 9, 2, 3, 4 }, new int[] { 9, 2, 3, 5 }, new int[] { 1, 2, 3, 4 });
		assertThat(hopeless.score().brier()).containsExactly(-1, -1, -1, 0);
		assertThat(hopeless.score().brierLm()).isZero();
	}

	@Test
	void onlyTheFirstFourTokensCount() {
		Brier brier = new Brier();
		brier.add(0, new int[] { 1, 2, 3, 4, 5 }, new int[] { 1, 2, 3, 4, 6 }, new int[] { 1, 2, 3, 4, 7 });
		assertThat(brier.score().brier()).containsExactly(1, 1, 1, 1);
	}

	/**
	 * A perfect model whose patches are rolled out along the path of the first sample
	 * scores the ideal, whatever the patch size; taken for a path of its own, the second
	 * sample does not.
	 */
	@ParameterizedTest
	@ValueSource(ints = { 1, 2, 3 })
	void alongThePathOfTheFirstSampleEveryTermKeepsItsExpectation(int patchSize) {
		MarkovSource source = MarkovSource.random(16, 3, 1);
		SplittableRandom random = new SplittableRandom(2);
		Brier brier = new Brier();
		Brier wrong = new Brier();
		for (int token : source.sample(200_000, 3)) {
			int[] y = continuation(source, token, random);
			int[] x1 = continuation(source, token, random);
			int[] x2 = new int[4];
			for (int n = 0; n < 4; n++) {
				int before = (n == 0) ? token : ((n % patchSize == 0) ? x1 : x2)[n - 1];
				x2[n] = source.next(before, random);
			}
			brier.add(0, x1, x2, y, patchSize);
			wrong.add(0, x1, x2, y);
		}
		BrierScore score = brier.score();
		double[] ideal = source.idealBrier(4);
		for (int n = 0; n < 4; n++) {
			assertThat(score.brier()[n]).isCloseTo(ideal[n], within(4 * score.brierErrors()[n]));
		}
		assertThat(Math.abs(wrong.score().brier()[3] - ideal[3])).isGreaterThan(10 * score.brierErrors()[3]);
	}

	private static int[] continuation(MarkovSource source, int token, SplittableRandom random) {
		int[] tokens = new int[4];
		int last = token;
		for (int n = 0; n < 4; n++) {
			last = source.next(last, random);
			tokens[n] = last;
		}
		return tokens;
	}

	@Test
	void scoreIsTheFourthRootOfTheProductInPercent() {
		assertThat(BrierScore.brierLm(0.5, 0.4, 0.2, 0.1)).isCloseTo(100 * Math.pow(0.004, 0.25), within(1e-12));
		assertThat(BrierScore.brierLm(0.5, -0.4, -0.2, 0.1)).isZero();
		assertThat(BrierScore.brierLm(0.5, 0.4, 0.2, 0)).isZero();
	}

	@Test
	void errorIsTheSpreadOfTheScoreOverTexts() {
		int texts = 300;
		double[] scores = new double[texts];
		double meanError = 0;
		for (int t = 0; t < texts; t++) {
			BrierScore score = simulate(100 + t, 50, 40).score();
			scores[t] = score.brierLm();
			meanError += score.error() / texts;
		}
		// 300 texts know the spread to 4 %, the bootstrap over 50 documents to 10 %
		assertThat(meanError).isCloseTo(deviation(scores), within(0.2 * deviation(scores)));
	}

	@Test
	void errorWithFewDocumentsComesFromRunsOfPositions() {
		int texts = 100;
		double[] scores = new double[texts];
		double meanError = 0;
		for (int t = 0; t < texts; t++) {
			BrierScore score = simulate(t, 50, 40, 1).score();
			scores[t] = score.brierLm();
			meanError += score.error() / texts;
		}
		assertThat(meanError).isCloseTo(deviation(scores), within(0.35 * deviation(scores)));
	}

	@Test
	void tooLittleToTell() {
		Brier brier = new Brier();
		assertThat(brier.score().brierLm()).isNaN();
		brier.add(0, new int[] { 1, 2, 3, 4 }, new int[] { 1, 2, 3, 4 }, new int[] { 1, 2, 3, 4 });
		assertThat(brier.score().error()).isNaN();
		assertThat(brier.score().positions()).isOne();
	}

	@Test
	void scoreIsRepeatable() {
		assertThat(simulate(1, 20, 10).score().error()).isEqualTo(simulate(1, 20, 10).score().error());
	}

	private static Brier simulate(long seed, int documents, int length) {
		return simulate(seed, documents, length, documents);
	}

	/**
	 * Documents of one difficulty each, so that positions of a document resemble each
	 * other.
	 */
	private static Brier simulate(long seed, int documents, int length, int labels) {
		SplittableRandom random = new SplittableRandom(seed);
		Brier brier = new Brier();
		for (int d = 0; d < documents; d++) {
			double difficulty = 0.6 * random.nextDouble();
			for (int i = 0; i < length; i++) {
				brier.add(d % labels, sample(difficulty, random), sample(difficulty, random), new int[4]);
			}
		}
		return brier;
	}

	private static int[] sample(double difficulty, SplittableRandom random) {
		int[] tokens = new int[4];
		for (int k = 0; k < 4; k++) {
			tokens[k] = (random.nextDouble() < difficulty) ? 1 + random.nextInt(1000) : 0;
		}
		return tokens;
	}

	private static double deviation(double[] values) {
		double mean = Arrays.stream(values).average().orElseThrow();
		double squares = Arrays.stream(values).map((value) -> (value - mean) * (value - mean)).sum();
		return Math.sqrt(squares / (values.length - 1));
	}

}

package io.calm.evaluation;

import java.nio.file.Path;
import java.util.Random;
import java.util.function.ToDoubleFunction;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.input.InvalidInputException;
import io.calm.model.TinyModel;
import io.calm.text.TokenStore;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

class BrierComparisonTest {

	private static final int TEXTS = 200;

	private static final int DOCUMENTS = 40;

	private static final int POSITIONS = 20;

	/** By how much each Brier-n of the second model is greater. */
	private static final double MORE = 0.02;

	/**
	 * Over many texts, of which the true difference is known, the difference divided by
	 * its error has a variance of 1. The mean of its squares over so many texts differs
	 * from that by 0.1 at one standard error.
	 */
	@Test
	void errorIsThatOfTheDifference() {
		assertThat(meanSquare(BrierComparison::error)).isCloseTo(1, within(0.35));
	}

	/** As if each model had been scored on a text of its own. */
	@Test
	void errorsOfSeparateScoresAreTooLarge() {
		assertThat(meanSquare((comparison) -> Math.hypot(comparison.first().error(), comparison.second().error())))
			.isLessThan(0.3);
	}

	private static double meanSquare(ToDoubleFunction<BrierComparison> error) {
		double truth = lm(0.5 + MORE) - lm(0.5);
		Random random = new Random(1);
		double squares = 0;
		for (int text = 0; text < TEXTS; text++) {
			BrierComparison comparison = comparison(random, false);
			squares += Math.pow((comparison.difference() - truth) / error.applyAsDouble(comparison), 2);
		}
		return squares / TEXTS;
	}

	/** Positions of a document resemble each other: they are not so many facts. */
	@Test
	void positionsAreNotIndependent() {
		double truth = lm(0.5 + MORE) - lm(0.5);
		Random random = new Random(1);
		double squares = 0;
		// each has as many documents as positions, whose bootstrap takes its time
		int texts = TEXTS / 5;
		for (int text = 0; text < texts; text++) {
			BrierComparison comparison = comparison(random, true);
			squares += Math.pow((comparison.difference() - truth) / comparison.error(), 2);
		}
		assertThat(squares / texts).isGreaterThan(2);
	}

	private static double lm(double brier) {
		return BrierScore.brierLm(brier, brier, brier, brier);
	}

	/**
	 * Documents differ in how easy they are, for both models and, less, for each of them;
	 * single positions are noisy.
	 * @param scattered whether each position is said to be a document
	 */
	private static BrierComparison comparison(Random random, boolean scattered) {
		BrierComparison.Positions first = new BrierComparison.Positions();
		double[][] second = new double[DOCUMENTS * POSITIONS][];
		for (int document = 0; document < DOCUMENTS; document++) {
			double easy = 0.5 + 0.1 * random.nextGaussian();
			double better = MORE + 0.02 * random.nextGaussian();
			for (int position = 0; position < POSITIONS; position++) {
				int i = document * POSITIONS + position;
				double noise = 0.2 * random.nextGaussian();
				first.add(scattered ? i : document, estimate(easy + noise, random));
				second[i] = estimate(easy + noise + better, random);
			}
		}
		BrierComparison.Pairs pairs = new BrierComparison.Pairs(first);
		for (int i = 0; i < second.length; i++) {
			pairs.add(scattered ? i : i / POSITIONS, second[i]);
		}
		return pairs.comparison();
	}

	private static double[] estimate(double mean, Random random) {
		double[] estimate = new double[BrierScore.LENGTH];
		for (int n = 0; n < estimate.length; n++) {
			estimate[n] = mean + 0.02 * random.nextGaussian();
		}
		return estimate;
	}

	/** The scores of each, and no difference to itself. */
	@Test
	void comparesModels(@TempDir Path directory) {
		AutoencoderConfig autoencoder = TinyModel.autoencoder().build();
		Path calm = directory.resolve("calm");
		TinyModel.write(calm, autoencoder, 0.5f, 1);
		Path baseline = directory.resolve("baseline");
		TinyModel.write(baseline, TinyModel.baseline(259, 0), 1);
		try (TokenStore text = TinyModel.text(1)) {
			BrierComparison.Setting setting = new BrierComparison.Setting(32, 1, 0, 3);
			BrierComparison comparison = BrierComparison.of(calm, baseline, text, setting, TinyModel.PROGRAM);
			assertThat(comparison.first().brier()).containsExactly(
					new BrierScoring(8, 2, 0, 3).score(calm, text, TinyModel.PROGRAM).brier(), within(1e-6));
			assertThat(comparison.second().brier())
				.containsExactly(new LikelihoodScoring(8, 4, 2, 0, 3).score(baseline, text, TinyModel.PROGRAM)
					.patchAligned()
					.brier(), within(1e-6));
			assertThat(comparison.first().positions()).isEqualTo(comparison.second().positions()).isPositive();
			BrierComparison same = BrierComparison.of(calm, calm, text, setting, TinyModel.PROGRAM);
			assertThat(same.difference()).isZero();
			assertThat(same.sure()).isFalse();
			Path wide = directory.resolve("wide");
			TinyModel.write(wide, TinyModel.autoencoder().patchSize(2).build(), 0.5f, 1);
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> BrierComparison.of(calm, wide, text, setting, TinyModel.PROGRAM))
				.withMessageContaining("wide has patches of 2 tokens, and")
				.withMessageContaining("of 4, so that");
		}
	}

}

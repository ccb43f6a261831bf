package io.calm.evaluation;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

class MarkovSourceTest {

	private static final int LENGTH = 200_000;

	private final MarkovSource source = MarkovSource.random(64, 3, 1);

	@Test
	void perfectModelReachesTheIdeal() {
		BrierScore score = score(this.source, 0);
		double[] ideal = this.source.idealBrier(4);
		for (int n = 0; n < 4; n++) {
			assertThat(score.brier()[n]).isCloseTo(ideal[n], within(4 * score.brierErrors()[n]));
		}
		assertThat(score.brierLm()).isCloseTo(this.source.idealBrierLm(), within(4 * score.error()));
		assertThat(score.error()).isBetween(0.01, 0.5);
	}

	@Test
	void wrongModelScoresLower() {
		MarkovSource other = MarkovSource.random(64, 3, 2);
		BrierScore score = score(other, 0);
		assertThat(score.brierLm()).isLessThan(this.source.idealBrierLm() / 2);
		BrierScore halfWrong = score(other, 0.3);
		assertThat(halfWrong.brierLm()).isLessThan(this.source.idealBrierLm() - 4 * halfWrong.error());
	}

	/**
	 * Scores samples of a model on a text of the source.
	 * @param model the model
	 * @param truth how often a sample comes from the source instead
	 */
	private BrierScore score(MarkovSource model, double truth) {
		Brier brier = new Brier();
		SplittableRandom random = new SplittableRandom(3);
		int[] text = this.source.sample(LENGTH, 4);
		for (int i = 1; i + 4 <= LENGTH; i += 4) {
			int[][] samples = new int[2][4];
			for (int[] sample : samples) {
				MarkovSource chosen = (random.nextDouble() < truth) ? this.source : model;
				int last = text[i - 1];
				for (int k = 0; k < 4; k++) {
					last = chosen.next(last, random);
					sample[k] = last;
				}
			}
			brier.add(i / 1000, samples[0], samples[1], Arrays.copyOfRange(text, i, i + 4));
		}
		return brier.score();
	}

	@Test
	void frequenciesAreStationary() {
		int[] counts = new int[64];
		for (int token : this.source.sample(LENGTH, 5)) {
			counts[token]++;
		}
		double[] stationary = this.source.stationary();
		assertThat(Arrays.stream(stationary).sum()).isCloseTo(1, within(1e-12));
		double distance = 0;
		for (int s = 0; s < 64; s++) {
			distance += Math.abs(counts[s] / (double) LENGTH - stationary[s]) / 2;
		}
		assertThat(distance).isLessThan(0.02);
	}

	/**
	 * That of the pairs of a long text, which is too low by the share of pairs unseen.
	 */
	@Test
	void entropyIsThatOfTheText() {
		int[] text = this.source.sample(LENGTH, 5);
		int[] first = new int[64];
		int[][] pairs = new int[64][64];
		for (int i = 1; i < LENGTH; i++) {
			first[text[i - 1]]++;
			pairs[text[i - 1]][text[i]]++;
		}
		double nats = 0;
		for (int i = 1; i < LENGTH; i++) {
			nats -= Math.log((double) pairs[text[i - 1]][text[i]] / first[text[i - 1]]) / (LENGTH - 1);
		}
		assertThat(this.source.entropy()).isCloseTo(nats, within(0.01));
		assertThat(MarkovSource.random(5, 1, 1).entropy()).isZero();
	}

	@Test
	void firstTokenIsStationaryToo() {
		double mean = 0;
		for (int s = 0; s < 64; s++) {
			mean += s * this.source.stationary()[s];
		}
		int runs = 20_000;
		double sum = 0;
		for (int seed = 0; seed < runs; seed++) {
			sum += this.source.sample(1, seed)[0];
		}
		// a token has a standard deviation of about 64/sqrt(12)
		assertThat(sum / runs).isCloseTo(mean, within(4 * 64 / Math.sqrt(12.0 * runs)));
	}

	@ParameterizedTest
	@CsvSource({ "2,1", "2,2", "64,1", "64,3", "50,50", "200,2" })
	void isIrreducible(int states, int successors) {
		MarkovSource source = MarkovSource.random(states, successors, 7);
		SplittableRandom random = new SplittableRandom(1);
		List<Set<Integer>> follow = new ArrayList<>();
		for (int s = 0; s < states; s++) {
			Set<Integer> seen = new HashSet<>();
			for (int draw = 0; draw < 20_000; draw++) {
				seen.add(source.next(s, random));
			}
			assertThat(seen).hasSize(successors);
			follow.add(seen);
		}
		for (int s = 0; s < states; s++) {
			assertThat(reachable(s, follow)).hasSize(states);
		}
		assertThat(Arrays.stream(source.stationary())).hasSize(states).allMatch((p) -> p > 0);
	}

	private static Set<Integer> reachable(int start, List<Set<Integer>> follow) {
		Set<Integer> reached = new HashSet<>(Set.of(start));
		Deque<Integer> open = new ArrayDeque<>(reached);
		while (!open.isEmpty()) {
			for (int next : follow.get(open.pop())) {
				if (reached.add(next)) {
					open.push(next);
				}
			}
		}
		return reached;
	}

	@Test
	void cycleIsPredictable() {
		MarkovSource cycle = MarkovSource.random(10, 1, 1);
		assertThat(cycle.idealBrierLm()).isCloseTo(100, within(1e-9));
		assertThat(Arrays.copyOf(cycle.sample(20, 1), 10)).doesNotHaveDuplicates();
	}

	@Test
	void typicalIdealIsAboutTwentyOne() {
		double[] ideals = new double[40];
		for (int seed = 0; seed < ideals.length; seed++) {
			ideals[seed] = MarkovSource.random(64, 3, seed).idealBrierLm();
		}
		assertThat(Arrays.stream(ideals).average().orElseThrow()).isBetween(20.0, 23.0);
		assertThat(Arrays.stream(ideals)).allMatch((ideal) -> ideal > 12 && ideal < 40);
	}

	@Test
	void seedsDecide() {
		assertThat(this.source.sample(100, 1)).isEqualTo(MarkovSource.random(64, 3, 1).sample(100, 1))
			.isNotEqualTo(this.source.sample(100, 2))
			.isNotEqualTo(MarkovSource.random(64, 3, 2).sample(100, 1));
	}

	@Test
	void refusesImpossibleSizes() {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> MarkovSource.random(3, 4, 1))
			.withMessageContaining("1 to 3");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> MarkovSource.random(1, 1, 1));
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> MarkovSource.random(3, 0, 1));
	}

}

package io.calm.sampling;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.BiFunction;
import java.util.random.RandomGenerator;
import java.util.stream.DoubleStream;
import java.util.stream.Stream;

import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.within;

class ExactSamplerTest {

	private static final int NO_BUDGET = 1_000_000;

	static Stream<Arguments> temperaturesOfToys() {
		return Toy.ALL.stream()
			.flatMap((toy) -> DoubleStream.of(1, 0.9, 0.7, 0.5, 0.4, 1 / 3.0, 0.2)
				.mapToObj((temperature) -> Arguments.of(toy, temperature)));
	}

	@ParameterizedTest
	@MethodSource("temperaturesOfToys")
	void drawsFromTheTemperedDistributionAtTheCostOfTheorem2(Toy toy, double temperature) {
		ExactSampler sampler = new ExactSampler(temperature, NO_BUDGET);
		double cost = ExactSampler.expectedDraws(toy.probabilities(), temperature);
		SplittableRandom random = seeded(toy, temperature);
		PatchSource source = toy.source(random.nextLong());
		int trials = (cost < 200) ? 200_000 : 30_000;
		long[] counts = new long[toy.probabilities().length];
		long draws = 0;
		for (int i = 0; i < trials; i++) {
			SampledPatch sampled = sampler.sample(source, random);
			assertThat(sampled.fellBack()).isFalse();
			counts[Toy.outcome(sampled.tokens())]++;
			draws += sampled.draws();
		}
		ChiSquare test = ChiSquare.test(counts, toy.tempered(temperature));
		assertThat(test.freedom()).as("degrees of freedom").isPositive();
		assertThat(test.p()).as("p-value of %s, %s", test, Arrays.toString(counts)).isGreaterThan(1e-3);
		assertThat((double) draws / trials).as("draws for each patch").isCloseTo(cost, within(0.02 * cost));
	}

	/**
	 * Of a nearly uniform distribution there is little to tell: temperature leaves it.
	 */
	static Stream<Arguments> wrongSamplers() {
		return Stream.of(Toy.ZIPF, Toy.DOMINANT)
			.flatMap((toy) -> DoubleStream.of(0.9, 0.7, 0.5, 0.4, 1 / 3.0, 0.2)
				.mapToObj((temperature) -> Arguments.of(toy, temperature)));
	}

	@ParameterizedTest
	@MethodSource("wrongSamplers")
	void theTestTellsWrongSamplers(Toy toy, double temperature) {
		if (Exponent.of(temperature).fraction() > 0) {
			ExactSampler withoutFactory = new ExactSampler(1.0 / Exponent.of(temperature).whole(), NO_BUDGET);
			assertRejected("without the factory", toy, temperature,
					(source, random) -> withoutFactory.sample(source, random).tokens());
			assertRejected("a in the place of a/i", toy, temperature,
					(source, random) -> withConstantRestart(source, random, temperature));
		}
		BatchSampler ten = new BatchSampler(temperature, 10);
		assertRejected("ten candidates", toy, temperature, (source, random) -> ten.sample(source, random).tokens());
	}

	private static void assertRejected(String name, Toy toy, double temperature,
			BiFunction<PatchSource, RandomGenerator, int[]> wrong) {
		SplittableRandom random = seeded(toy, temperature);
		PatchSource source = toy.source(random.nextLong());
		long[] counts = new long[toy.probabilities().length];
		for (int i = 0; i < 5_000; i++) {
			counts[Toy.outcome(wrong.apply(source, random))]++;
		}
		ChiSquare test = ChiSquare.test(counts, toy.tempered(temperature));
		assertThat(test.p()).as("p-value of %s: %s", name, test).isLessThan(1e-6);
	}

	private static SplittableRandom seeded(Toy toy, double temperature) {
		return new SplittableRandom(1_000 * Toy.ALL.indexOf(toy) + Math.round(100 * temperature));
	}

	/** Algorithm 1, draw by draw, but with the restart probability a in stage 2. */
	private static int[] withConstantRestart(PatchSource source, RandomGenerator random, double temperature) {
		int n = (int) (1 / temperature);
		double a = 1 / temperature - n;
		while (true) {
			int[] first = source.draw(1);
			boolean kept = true;
			for (int i = 1; i < n; i++) {
				kept &= Arrays.equals(first, source.draw(1));
			}
			while (kept) {
				if (Arrays.equals(first, source.draw(1))) {
					return first;
				}
				kept = random.nextDouble() >= a;
			}
		}
	}

	@Test
	void pValuesAreThoseOfTables() {
		assertThat(ChiSquare.upperGamma(0.5, 3.841459 / 2)).isCloseTo(0.05, within(1e-7));
		assertThat(ChiSquare.upperGamma(5, 18.307038 / 2)).isCloseTo(0.05, within(1e-7));
		assertThat(ChiSquare.upperGamma(9.5, 43.820196 / 2)).isCloseTo(0.001, within(1e-8));
		assertThat(ChiSquare.logGamma(0.5)).isCloseTo(0.5 * Math.log(Math.PI), within(1e-12));
	}

	@ParameterizedTest
	@ValueSource(ints = { 1, 2, 3, 7, 10, 49, 98, 1_000, 1_000_000 })
	void aWholeInverseHasNoFraction(int n) {
		assertThat(Exponent.of(1.0 / n)).isEqualTo(new Exponent(n, 0));
		assertThat(Exponent.of(Math.min(1, 1 / (n + 4e-10)))).isEqualTo(new Exponent(n, 0));
		assertThat(Exponent.of(1 / (n + 0.25)).whole()).isEqualTo(n);
		assertThat(Exponent.of(1 / (n + 0.25)).fraction()).isCloseTo(0.25, within(1e-9 * n));
	}

	@Test
	void extremesOfTemperature() {
		assertThat(Exponent.of(Math.nextDown(1.0))).isEqualTo(new Exponent(1, 0));
		assertThat(Exponent.of(Double.MIN_VALUE)).isEqualTo(new Exponent(Long.MAX_VALUE, 0));
		SampledPatch sampled = new ExactSampler(Double.MIN_VALUE, 3).sample(script(1, 2, 2), () -> 0);
		assertThat(sampled.tokens()).containsExactly(2);
		assertThat(sampled.fellBack()).isTrue();
	}

	@Test
	void firstStageStartsAgainUntilAllAgree() {
		SampledPatch sampled = new ExactSampler(1 / 3.0, 100).sample(script(1, 1, 2, 2, 3, 3, 3, 3, 3, 1, 1, 1),
				() -> 0);
		// {1, 1, 2}, {2, 3, 3}, {3, 3, 3}: the runs of three across rounds do not count
		assertThat(sampled.tokens()).containsExactly(3);
		assertThat(sampled.draws()).isEqualTo(9);
		assertThat(sampled.fellBack()).isFalse();
	}

	@Test
	void secondStageGivesUpWithProbabilityAOverI() {
		// 1/T = 1.5. The factory gives up where a uniform number is below 0.5/i
		double temperature = 1 / 1.5;
		ExactSampler sampler = new ExactSampler(temperature, 100);
		SampledPatch never = sampler.sample(script(1, 2, 3, 4, 1), uniform(0.51, 0.26, 0.17));
		assertThat(never.tokens()).containsExactly(1);
		assertThat(never.draws()).isEqualTo(5);
		SampledPatch atThird = sampler.sample(script(1, 2, 3, 4, 1, 1), uniform(0.51, 0.26, 0.16));
		assertThat(atThird.tokens()).containsExactly(1);
		assertThat(atThird.draws()).isEqualTo(6);
		SampledPatch atFirst = sampler.sample(script(1, 2, 3, 3), uniform(0.49));
		assertThat(atFirst.tokens()).containsExactly(3);
		assertThat(atFirst.draws()).isEqualTo(4);
	}

	@Test
	void asksForBatchesWithinTheBudgetAndUsesEachDrawOnce() {
		List<Integer> asked = new ArrayList<>();
		PatchSource distinct = (count) -> {
			int before = asked.stream().mapToInt((n) -> n).sum();
			asked.add(count);
			int[] tokens = new int[2 * count];
			Arrays.setAll(tokens, (i) -> 2 * before + i);
			return tokens;
		};
		SampledPatch sampled = new ExactSampler(0.5, 5_000).sample(distinct, new SplittableRandom(1));
		assertThat(asked).containsExactly(32, 64, 128, 256, 512, 1024, 1024, 1024, 936);
		assertThat(sampled.draws()).isEqualTo(5_000);
		assertThat(sampled.fellBack()).isTrue();
		assertThat(sampled.tokens()).hasSize(2);
		assertThat(sampled.tokens()[0]).isEven();
		assertThat(sampled.tokens()[1]).isEqualTo(sampled.tokens()[0] + 1);
		asked.clear();
		assertThat(new ExactSampler(1).sample(distinct, new SplittableRandom(1)).draws()).isOne();
		assertThat(asked).containsExactly(1);
		asked.clear();
		new ExactSampler(0.01, 250).sample(distinct, new SplittableRandom(1));
		assertThat(asked).containsExactly(100, 150);
	}

	@Test
	void fallsBackToTheBatchOfAllDraws() {
		int[] drawn = { 0, 2, 0, 3, 1, 4, 0, 5, 1, 6 };
		SplittableRandom random = new SplittableRandom(5);
		long[] counts = new long[7];
		for (int i = 0; i < 20_000; i++) {
			SampledPatch sampled = new ExactSampler(0.5, 10).sample(script(drawn), random);
			assertThat(sampled.fellBack()).isTrue();
			assertThat(sampled.draws()).isEqualTo(10);
			counts[sampled.tokens()[0]]++;
		}
		assertThat(counts[0] + counts[1]).isEqualTo(20_000);
		ChiSquare test = ChiSquare.test(Arrays.copyOf(counts, 2), new double[] { 0.75, 0.25 });
		assertThat(test.p()).as("p-value").isGreaterThan(1e-3);
	}

	@Test
	void expectedDrawsOfKnownCases() {
		assertThat(ExactSampler.expectedDraws(new double[] { 0.5, 0.25, 0.25 }, 1)).isEqualTo(1);
		assertThat(ExactSampler.expectedDraws(new double[] { 0.5, 0.5, 0 }, 0.5)).isEqualTo(4);
		assertThat(ExactSampler.expectedDraws(new double[] { 1 }, 1 / 3.0)).isEqualTo(3);
		assertThat(ExactSampler.expectedDraws(new double[] { 1 }, 0.4)).isEqualTo(3);
		// (1 + 2 sqrt(1/2)) / (2 (1/2)^1.5)
		assertThat(ExactSampler.expectedDraws(new double[] { 0.5, 0, 0.5 }, 1 / 1.5))
			.isCloseTo((1 + Math.sqrt(2)) * Math.sqrt(2), within(1e-12));
		assertThat(ExactSampler.expectedDraws(new double[] { 0.5, 0.5 }, 1e-4)).isInfinite();
	}

	@Test
	void badArguments() {
		for (double temperature : new double[] { 0, -0.5, 1.0000001, Double.NaN, Double.POSITIVE_INFINITY }) {
			assertInvalid("temperature is " + temperature, () -> new ExactSampler(temperature));
			assertInvalid("temperature is " + temperature, () -> new BatchSampler(temperature));
			assertInvalid("temperature is ", () -> ExactSampler.expectedDraws(new double[] { 1 }, temperature));
		}
		assertInvalid("budget of draws is 0", () -> new ExactSampler(0.5, 0));
		assertInvalid("probabilities: one of them is -0.5",
				() -> ExactSampler.expectedDraws(new double[] { -0.5, 1.5 }, 0.5));
		assertInvalid("probabilities: one of them is NaN",
				() -> ExactSampler.expectedDraws(new double[] { Double.NaN }, 0.5));
		assertInvalid("probabilities sum to 0.0", () -> ExactSampler.expectedDraws(new double[0], 0.5));
		assertInvalid("probabilities sum to 3.0", () -> ExactSampler.expectedDraws(new double[] { 1, 2 }, 0.5));
	}

	@Test
	void aSourceThatBreaksItsContractIsReported() {
		ExactSampler sampler = new ExactSampler(0.5);
		SplittableRandom random = new SplittableRandom(1);
		assertThatIllegalStateException().isThrownBy(() -> sampler.sample((count) -> new int[count + 1], random))
			.withMessageContaining("33 tokens for 32 patches");
		assertThatIllegalStateException().isThrownBy(() -> sampler.sample((count) -> new int[0], random));
		assertThatIllegalStateException().isThrownBy(() -> sampler.sample((count) -> {
			int[] tokens = new int[count * count];
			Arrays.setAll(tokens, (i) -> i);
			return tokens;
		}, random)).withMessageContaining("patches of 32 tokens, then of 64");
	}

	static void assertInvalid(String message, Runnable call) {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(call::run).withMessageStartingWith(message);
	}

	/** Patches of one token in the given order, then ever new ones. */
	private static PatchSource script(int... patches) {
		int[] position = new int[1];
		return (count) -> {
			int[] tokens = new int[count];
			for (int i = 0; i < count; i++, position[0]++) {
				tokens[i] = (position[0] < patches.length) ? patches[position[0]] : 1_000 + position[0];
			}
			return tokens;
		};
	}

	/** Uniform numbers in the given order; no more may be asked for. */
	private static RandomGenerator uniform(double... numbers) {
		int[] position = new int[1];
		return () -> (long) (numbers[position[0]++] * 0x1p63) << 1;
	}

}

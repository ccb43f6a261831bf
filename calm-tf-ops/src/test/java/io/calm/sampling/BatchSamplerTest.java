package io.calm.sampling;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

import static io.calm.sampling.ExactSamplerTest.assertInvalid;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.within;

class BatchSamplerTest {

	/** A C A D B E A F B G. */
	private static final int[] WORKED_CASE = { 0, 2, 0, 3, 1, 4, 0, 5, 1, 6 };

	@Test
	void workedCase() {
		PatchCounts counts = new PatchCounts(WORKED_CASE, 1, 10);
		double[] weights = BatchSampler.weights(counts.counts(), Exponent.of(0.5), BatchSampler.ALL);
		// A, C, D, B, E, F, G: three fourths and one fourth
		assertThat(weights).containsExactly(1, 0, 0, 1 / 3.0, 0, 0, 0);
		BatchSampler sampler = new BatchSampler(0.5, 10);
		SplittableRandom random = new SplittableRandom(1);
		long[] chosen = new long[7];
		for (int i = 0; i < 100_000; i++) {
			SampledPatch sampled = sampler.sample((count) -> WORKED_CASE.clone(), random);
			assertThat(sampled.draws()).isEqualTo(10);
			assertThat(sampled.fellBack()).isFalse();
			chosen[sampled.tokens()[0]]++;
		}
		assertThat(chosen[0] + chosen[1]).isEqualTo(100_000);
		ChiSquare test = ChiSquare.test(Arrays.copyOf(chosen, 2), new double[] { 0.75, 0.25 });
		assertThat(test.p()).as("p-value of %s, %s", test, Arrays.toString(chosen)).isGreaterThan(1e-3);
	}

	@ParameterizedTest
	@ValueSource(doubles = { 1, 0.9, 0.7, 0.5, 0.4, 1 / 3.0, 0.2, 0.03 })
	void weightsAreThoseOfTheGammaFunction(double temperature) {
		double s = Exponent.of(temperature).value();
		int[] counts = IntStream.rangeClosed(1, 200).toArray();
		double[] weights = BatchSampler.weights(counts, Exponent.of(temperature), BatchSampler.ALL);
		for (int c = 1; c <= 200; c++) {
			double expected = (c < s) ? 0 : Math.exp(logWeight(c, s) - logWeight(200, s));
			assertThat(weights[c - 1]).as("count " + c).isCloseTo(expected, within(1e-11 * expected));
		}
	}

	private static double logWeight(int count, double s) {
		return ChiSquare.logGamma(count + 1) - ChiSquare.logGamma(count - s + 1);
	}

	@Test
	void weightsOfManyDrawsDoNotOverflow() {
		double[] weights = BatchSampler.weights(new int[] { 60_000, 30_000, 1 }, Exponent.of(0.03), BatchSampler.ALL);
		double expected = Math.exp(logWeight(30_000, 1 / 0.03) - logWeight(60_000, 1 / 0.03));
		assertThat(weights[0]).isEqualTo(1);
		assertThat(weights[1]).isCloseTo(expected, within(1e-6 * expected));
		assertThat(weights[2]).isZero();
		double[] cold = BatchSampler.weights(new int[] { 99_000, 1_000 }, Exponent.of(1e-3), BatchSampler.ALL);
		assertThat(cold).containsExactly(1, 0);
		double[] frozen = BatchSampler.weights(new int[] { 7, 9, 9, 1 }, Exponent.of(Double.MIN_VALUE),
				BatchSampler.ALL);
		assertThat(frozen).containsExactly(0, 1, 1, 0);
	}

	@ParameterizedTest
	@CsvSource({ "0.5, 1 1 1, 1 1 1", "0.3333333333333333, 2 2 1, 1 1 0", "0.2, 3 4 4 1, 0 1 1 0", "0.4, 2 1, 1 0",
			"0.4, 1 1, 1 1", "0.4, 3 2 1, 1 0 0", "0.6666666666666666, 3 2 1, 1 0.5 0", "0.6666666666666666, 1 1, 1 1",
			"1, 4 2 1, 1 0.5 0.25" })
	void lowersTheBarUntilSomeoneMeetsIt(double temperature, String counts, String weights) {
		assertThat(BatchSampler.weights(ints(counts), Exponent.of(temperature), BatchSampler.ALL)).containsExactly(
				Arrays.stream(weights.split(" ")).mapToDouble(Double::parseDouble).toArray(), within(1e-15));
	}

	@ParameterizedTest
	@CsvSource({ "1, 1 5 2 5, 0 1 0 0", "2, 1 5 2 5, 0 1 0 1", "3, 1 5 2 5, 0 1 0.4 1", "4, 1 5 2 5, 0.2 1 0.4 1",
			"9, 1 5 2 5, 0.2 1 0.4 1", "3, 1 1 1 1 3, 0.3333333333333333 0.3333333333333333 0 0 1" })
	void topKKeepsTheMostFrequent(int topK, String counts, String weights) {
		assertThat(BatchSampler.weights(ints(counts), Exponent.of(1), topK)).containsExactly(
				Arrays.stream(weights.split(" ")).mapToDouble(Double::parseDouble).toArray(), within(1e-15));
	}

	private static int[] ints(String numbers) {
		return Arrays.stream(numbers.split(" ")).mapToInt(Integer::parseInt).toArray();
	}

	@Test
	void topOneIsTheMostFrequentPatch() {
		SplittableRandom random = new SplittableRandom(1);
		for (int i = 0; i < 100; i++) {
			SampledPatch sampled = new BatchSampler(1, 10, 1).sample((count) -> WORKED_CASE.clone(), random);
			assertThat(sampled.tokens()).containsExactly(0);
			assertThat(sampled.draws()).isEqualTo(10);
		}
	}

	@ParameterizedTest
	@CsvSource({ "0.9, 10, 9", "0.7, 300, 9", "0.5, 40, 9", "0.5, 12, 2", "0.4, 100, 3", "0.2, 25, 9" })
	void tokensOfUnrepeatedDrawsDoNotMatter(double temperature, int candidates, int topK) {
		SplittableRandom random = new SplittableRandom(3);
		BatchSampler sampler = new BatchSampler(temperature, candidates, topK);
		assertThat(sampler.ignoresUnrepeated()).isTrue();
		int missing = 0;
		for (int i = 0; i < 200; i++) {
			int spread = 1 + i % 9;
			int[] tokens = IntStream.range(0, 4 * candidates).map((each) -> random.nextInt(spread)).toArray();
			int[] partial = withoutTheUnrepeated(tokens, 4);
			missing += (int) IntStream.of(partial).filter((token) -> token < 0).count();
			assertThat(sampler.sample((count) -> partial, new SplittableRandom(i)).tokens())
				.isEqualTo(sampler.sample((count) -> tokens, new SplittableRandom(i)).tokens());
		}
		assertThat(missing).isGreaterThan(100);
	}

	@Test
	void tokensOfUnrepeatedDrawsMatterWhereTheseAreChosen() {
		assertThat(new BatchSampler(1, 200, 5).ignoresUnrepeated()).isFalse();
		assertThat(new BatchSampler(1).ignoresUnrepeated()).isFalse();
		assertThat(new ExactSampler(0.5).ignoresUnrepeated()).isFalse();
	}

	/**
	 * Each draw but the first, if its end is unlike that of all others, without the rest.
	 */
	private static int[] withoutTheUnrepeated(int[] tokens, int size) {
		int[] partial = tokens.clone();
		for (int from = size; from < tokens.length; from += size) {
			int place = size - 1;
			while (place > 0 && repeated(tokens, size, from, place)) {
				place--;
			}
			Arrays.fill(partial, from, from + place, -1);
		}
		return partial;
	}

	private static boolean repeated(int[] tokens, int size, int from, int place) {
		return IntStream.range(0, tokens.length / size)
			.map((draw) -> draw * size)
			.anyMatch((other) -> other != from
					&& Arrays.equals(tokens, from + place, from + size, tokens, other + place, other + size));
	}

	static Stream<Arguments> temperaturesOfToys() {
		return Toy.ALL.stream()
			.flatMap((toy) -> Stream.of(0.7, 0.5, 0.4, 0.2).map((temperature) -> Arguments.of(toy, temperature)));
	}

	/**
	 * The distance of the mean over batches of the probabilities with which the sampler
	 * would choose: it has less noise than that of the patches chosen.
	 */
	@ParameterizedTest
	@MethodSource("temperaturesOfToys")
	void approachesTheTemperedDistributionAsCandidatesGrow(Toy toy, double temperature) {
		double[] distances = IntStream.of(10, 100, 1_000, 10_000)
			.mapToDouble(
					(candidates) -> distance(toy, temperature, candidates, Math.min(20_000, 5_000_000 / candidates)))
			.toArray();
		for (int i = 1; i < distances.length; i++) {
			assertThat(distances[i]).as("total variation %s", Arrays.toString(distances)).isLessThan(distances[i - 1]);
		}
		assertThat(distances[3]).as("total variation with 10000 candidates").isLessThan(0.005);
	}

	private static double distance(Toy toy, double temperature, int candidates, int batches) {
		PatchSource source = toy.source(6);
		double[] mean = new double[toy.probabilities().length];
		for (int b = 0; b < batches; b++) {
			PatchCounts counts = new PatchCounts(source.draw(candidates), 3, candidates);
			double[] weights = BatchSampler.weights(counts.counts(), Exponent.of(temperature), BatchSampler.ALL);
			double sum = Arrays.stream(weights).sum();
			for (int i = 0; i < weights.length; i++) {
				mean[Toy.outcome(counts.patch(i))] += weights[i] / sum / batches;
			}
		}
		double[] tempered = toy.tempered(temperature);
		return IntStream.range(0, mean.length).mapToDouble((i) -> Math.abs(mean[i] - tempered[i])).sum() / 2;
	}

	@ParameterizedTest
	@MethodSource("temperaturesOfToys")
	void chiSquareWithManyCandidates(Toy toy, double temperature) {
		BatchSampler sampler = new BatchSampler(temperature, 2_000);
		PatchSource source = toy.source(7);
		SplittableRandom random = new SplittableRandom(8);
		long[] counts = new long[toy.probabilities().length];
		for (int i = 0; i < 1_000; i++) {
			counts[Toy.outcome(sampler.sample(source, random).tokens())]++;
		}
		ChiSquare test = ChiSquare.test(counts, toy.tempered(temperature));
		assertThat(test.p()).as("p-value of %s, %s", test, Arrays.toString(counts)).isGreaterThan(1e-3);
	}

	@Test
	void oneDrawIsEnoughAtTemperatureOne() {
		SplittableRandom random = new SplittableRandom(1);
		SampledPatch sampled = new BatchSampler(1).sample((count) -> {
			assertThat(count).isOne();
			return new int[] { 1, 2 };
		}, random);
		assertThat(sampled.tokens()).containsExactly(1, 2);
		assertThat(sampled.draws()).isOne();
		assertThat(new BatchSampler(1, 200, 5).sample((count) -> new int[4 * count], random).draws()).isEqualTo(200);
		assertThat(new BatchSampler(0.3).sample((count) -> new int[4 * count], random).draws()).isEqualTo(200);
		assertThat(new BatchSampler(0.3, 1).sample((count) -> new int[] { 9 }, random).tokens()).containsExactly(9);
	}

	@ParameterizedTest
	@CsvSource({ "1, 1, 5", "2, 3, 2", "64, 1, 40", "65, 4, 3", "1000, 4, 3", "1000, 1, 1", "20000, 2, 100",
			"5000, 8, 100000" })
	void countsAsAMapDoes(int draws, int patchSize, int vocabulary) {
		SplittableRandom random = new SplittableRandom(draws);
		int[] tokens = random.ints((long) draws * patchSize, -vocabulary / 2, vocabulary - vocabulary / 2).toArray();
		Map<List<Integer>, Integer> expected = new LinkedHashMap<>();
		for (int i = 0; i < tokens.length; i += patchSize) {
			expected.merge(Arrays.stream(tokens, i, i + patchSize).boxed().toList(), 1, Integer::sum);
		}
		PatchCounts counts = new PatchCounts(tokens, patchSize, draws);
		assertThat(counts.counts()).containsExactly(expected.values().stream().mapToInt((n) -> n).toArray());
		int number = 0;
		for (List<Integer> patch : expected.keySet()) {
			assertThat(counts.patch(number++)).containsExactly(patch.stream().mapToInt((n) -> n).toArray());
		}
	}

	@Test
	void patchesThatPermuteEachOtherAreDistinct() {
		int[] tokens = { 1, 2, 3, 3, 2, 1, 1, 2, 3, 2, 1, 3 };
		assertThat(new PatchCounts(tokens, 3, 4).counts()).containsExactly(2, 1, 1);
	}

	@Test
	void badArguments() {
		assertInvalid("candidates is 0", () -> new BatchSampler(0.5, 0));
		assertInvalid("top-k is 0", () -> new BatchSampler(0.5, 200, 0));
		assertThatIllegalStateException()
			.isThrownBy(() -> new BatchSampler(0.5).sample((count) -> new int[count / 2], new SplittableRandom(1)))
			.withMessageContaining("100 tokens for 200 patches");
	}

}

package io.calm.cli.sweep;

import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;

import io.calm.input.InvalidInputException;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/** Which trials there are, and how many go on. */
class SweepTests {

	private static final Parameter RATE = new Parameter("learning-rate", List.of("0.1", "0.2"), null);

	private static final Parameter BATCH = new Parameter("batch", List.of("4", "8", "16"), null);

	private static Parameter range(double least, double greatest, boolean logarithmic, boolean whole) {
		return new Parameter("number", List.of(), new Parameter.Range(least, greatest, logarithmic, whole));
	}

	private static List<Double> draw(Parameter parameter, int count) {
		return new Sweep(List.of(parameter), Sweep.Method.RANDOM, count, 1).list()
			.stream()
			.map((trial) -> Double.valueOf(trial.values().getOrDefault("number", "")))
			.toList();
	}

	@Test
	void aGridHasEveryCombination() {
		List<Trial> trials = new Sweep(List.of(RATE, BATCH), Sweep.Method.GRID, 0, 1).list();
		assertThat(trials.stream().map(Trial::description)).containsExactly("learning-rate 0.1, batch 4",
				"learning-rate 0.1, batch 8", "learning-rate 0.1, batch 16", "learning-rate 0.2, batch 4",
				"learning-rate 0.2, batch 8", "learning-rate 0.2, batch 16");
		assertThat(trials.get(5).name()).isEqualTo("trial-006");
	}

	@Test
	void drawsTheSameTrialsAgainAndNoneTwice() {
		Sweep sweep = new Sweep(List.of(RATE, BATCH), Sweep.Method.RANDOM, 6, 7);
		assertThat(sweep.list()).isEqualTo(sweep.list());
		assertThat(sweep.list().stream().map(Trial::values).distinct()).hasSize(6);
		assertThat(new Sweep(List.of(RATE, BATCH), Sweep.Method.RANDOM, 5, 8).list())
			.isNotEqualTo(new Sweep(List.of(RATE, BATCH), Sweep.Method.RANDOM, 5, 7).list());
		assertThat(new Sweep(List.of(RATE, BATCH), Sweep.Method.RANDOM, 2, 7).list()).as("the first ones stay")
			.isEqualTo(sweep.list().subList(0, 2));
	}

	@Test
	void powersOfTenAreEquallyLikely() {
		List<Double> drawn = draw(range(1e-4, 1e-1, true, false), 900);
		assertThat(drawn).allMatch((number) -> number >= 1e-4 && number <= 1e-1);
		for (double least : new double[] { 1e-4, 1e-3, 1e-2 }) {
			// 300 are expected, with a standard deviation of 14
			assertThat(drawn.stream().filter((number) -> number >= least && number < 10 * least).count())
				.isBetween(230L, 370L);
		}
		assertThat(
				draw(range(0, 1, false, false), 400).stream().mapToDouble(Double::doubleValue).average().orElseThrow())
			.isBetween(0.42, 0.58);
	}

	@Test
	void bothEndsOfWholeNumbersAreDrawn() {
		assertThat(draw(range(1, 5, false, true), 5)).containsExactlyInAnyOrder(1.0, 2.0, 3.0, 4.0, 5.0);
		assertThat(draw(range(1, 8, true, true), 8)).containsExactlyInAnyOrder(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0);
	}

	@Test
	void refusesWhatCannotBeTried() {
		refused(() -> new Sweep(List.of(), Sweep.Method.GRID, 0, 1), "parameters are missing");
		refused(() -> new Sweep(List.of(RATE), Sweep.Method.GRID, 3, 1), "trials has no meaning with a grid");
		refused(() -> new Sweep(List.of(RATE), Sweep.Method.RANDOM, 0, 1), "trials is 0");
		refused(() -> new Sweep(List.of(RATE), Sweep.Method.RANDOM, 3, 1), "trials is 3, of 2 combinations");
		refused(() -> new Sweep(List.of(range(0, 1, false, false)), Sweep.Method.GRID, 0, 1),
				"parameter number is a range, and a grid needs values");
		refused(() -> draw(range(1, 2, false, true), 3), "trials is 3, and ranges so narrow have fewer");
		refused(() -> range(2, 1, false, false), "min 2.0 is not below max 1.0");
		refused(() -> range(0, 1, true, false), "min 0.0 has no logarithm");
		refused(() -> new Parameter("batch", List.of("4", "4"), null), "parameter batch has a value twice");
		Parameter many = new Parameter("seed", IntStream.range(0, 1000).mapToObj(String::valueOf).toList(), null);
		refused(() -> new Sweep(List.of(many), Sweep.Method.GRID, 0, 1), "sweep has more than 999 trials");
	}

	private static void refused(ThrowingCallable action, String message) {
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(action).withMessageStartingWith(message);
	}

	@Test
	void halvesUntilOneIsLeft() {
		Halving halving = Halving.of(8, 2, 800, 1);
		assertThat(halving.rungs()).isEqualTo(4);
		assertThat(IntStream.range(0, 4).mapToObj((rung) -> halving.lastStep(800, rung))).containsExactly(100L, 200L,
				400L, 800L);
		assertThat(halving.goOn(8)).isEqualTo(4);
		assertThat(halving.goOn(1)).isEqualTo(1);
		assertThat(Halving.of(8, 2, 800, 200).rungs()).as("no rung of fewer steps").isEqualTo(3);
		assertThat(Halving.of(10, 3, 900, 1)).isEqualTo(new Halving(4, 3));
		assertThat(Halving.of(1, 2, 900, 1)).isEqualTo(Halving.NONE);
		assertThat(new Halving(3, 4).lastStep(10, 0)).as("at least one step").isEqualTo(1);
	}

	@Test
	void whileBrierLmIs0Brier1Decides() {
		Outcome best = outcome(Map.of("brier_lm", 1.5, "brier_1", 0.1), null);
		Outcome second = outcome(Map.of("brier_lm", 0.0, "brier_1", 0.3), null);
		Outcome third = outcome(Map.of("brier_lm", 0.0, "brier_1", 0.2), null);
		Outcome failed = outcome(Map.of("brier_lm", 9.0), "The loss is NaN");
		assertThat(List.of(failed, third, best, second).stream().sorted(Outcome.BEST_FIRST)).containsExactly(best,
				second, third, failed);
	}

	private static Outcome outcome(Map<String, Double> scores, @Nullable String failure) {
		return new Outcome(1, 1, 1, scores, failure);
	}

	@Test
	void wideNumbersStandByTheirLogarithm() {
		Axis wide = Axis.of("rate", List.of("0.1", "1e-3", "0.01"));
		assertThat(wide.place("0.01")).isBetween(0.499, 0.501);
		assertThat(Axis.of("batch", List.of("8", "4", "12")).place("8")).isEqualTo(0.5);
		Axis names = Axis.of("head", List.of("energy", "flow", "4"));
		assertThat(names.place("flow")).isEqualTo(0.5);
		assertThat(names.place("energy")).isZero();
		assertThat(Axis.of("one", List.of("3")).place("3")).isEqualTo(0.5);
		assertThat(Axis.of("many", IntStream.rangeClosed(1, 100).mapToObj(String::valueOf).toList()).ticks()).hasSize(5)
			.containsKeys("1", "10", "100");
	}

}

package io.calm.head;

import java.util.stream.IntStream;

import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

/**
 * The constants of the diffusion, against values computed by hand from the formulas of
 * improved DDPM.
 */
class NoiseScheduleTest {

	private final NoiseSchedule four = NoiseSchedule.cosine(4);

	private final NoiseSchedule thousand = NoiseSchedule.cosine(1000);

	@Test
	void betasOfTheCosineSchedule() {
		assertThat(betas(this.four)).containsExactly(new double[] { 0.15298784, 0.41695809, 0.70785871, 0.999 },
				within(1e-7));
		assertThat(this.thousand.beta(0)).isCloseTo(4.128422e-5, within(1e-9));
		assertThat(this.thousand.beta(499)).isCloseTo(0.003145886, within(1e-9));
		assertThat(this.thousand.beta(998)).isCloseTo(0.749999393, within(1e-9));
		// where the formula says 1
		assertThat(this.thousand.beta(999)).isCloseTo(0.999, within(1e-9));
	}

	@Test
	void shareOfTheSignal() {
		assertThat(this.four.alphaBar(-1)).isEqualTo(1);
		assertThat(IntStream.range(0, 4).mapToDouble(this.four::alphaBar).toArray())
			.containsExactly(new double[] { 0.84701216, 0.49384359, 0.14427210, 0.00014427 }, within(1e-7));
		assertThat(this.thousand.alphaBar(499)).isCloseTo(0.49384359, within(1e-7));
		assertThat(this.thousand.alphaBar(999)).isCloseTo(2.42876691e-9, within(1e-14));
	}

	@Test
	void theStepBack() {
		assertThat(this.four.noiseWeight(1)).isCloseTo(0.76753846, within(1e-7));
		assertThat(this.four.latentsWeight(1)).isCloseTo(0.75814537, within(1e-7));
		assertThat(this.four.pointWeight(1)).isCloseTo(0.23079269, within(1e-7));
		assertThat(this.four.latentsWeight(0)).isCloseTo(1, within(1e-12));
		assertThat(this.four.pointWeight(0)).isZero();
		assertThat(this.four.leastLogVariance(2)).isCloseTo(-0.87061748, within(1e-7));
		assertThat(this.four.greatestLogVariance(2)).isCloseTo(Math.log(0.70785871), within(1e-7));
	}

	@Test
	void theFirstStepHasTheLeastVarianceOfTheSecond() {
		assertThat(this.four.leastLogVariance(1)).isCloseTo(-2.07125687, within(1e-7));
		assertThat(this.four.leastLogVariance(0)).isEqualTo(this.four.leastLogVariance(1));
	}

	@Test
	void respacedKeepsTheNoiseOfItsSteps() {
		NoiseSchedule two = this.four.respaced(2);
		assertThat(IntStream.range(0, 2).map(two::time)).containsExactly(0, 3);
		assertThat(two.alphaBar(1)).isEqualTo(this.four.alphaBar(3));
		assertThat(two.beta(0)).isEqualTo(this.four.beta(0));
		assertThat(two.beta(1)).isCloseTo(0.99982967, within(1e-7));
	}

	@Test
	void respacedIsEvenlySpaced() {
		NoiseSchedule hundred = this.thousand.respaced(100);
		assertThat(hundred.steps()).isEqualTo(100);
		assertThat(IntStream.range(0, 12).map(hundred::time)).containsExactly(0, 10, 20, 30, 40, 50, 61, 71, 81, 91,
				101, 111);
		assertThat(hundred.time(99)).isEqualTo(999);
		assertThat(betas(this.thousand.respaced(1000))).containsExactly(betas(this.thousand), within(1e-12));
	}

	private static double[] betas(NoiseSchedule schedule) {
		return IntStream.range(0, schedule.steps()).mapToDouble(schedule::beta).toArray();
	}

}

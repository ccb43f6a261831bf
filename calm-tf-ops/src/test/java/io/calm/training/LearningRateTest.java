package io.calm.training;

import io.calm.input.InvalidInputException;
import io.calm.training.LearningRate.Decay;
import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.within;

class LearningRateTest {

	@Test
	void risesAndFallsAlongACosine() {
		LearningRate rate = new LearningRate(2, 4, Decay.COSINE);
		assertThat(rate.at(1, 14)).isEqualTo(0.5);
		assertThat(rate.at(4, 14)).isEqualTo(2);
		// halfway: 0.1 + 0.9 / 2
		assertThat(rate.at(9, 14)).isCloseTo(1.1, within(1e-12));
		// four fifths: cos 0.8π = -0.809…
		assertThat(rate.at(12, 14)).isCloseTo(2 * (0.1 + 0.45 * (1 - 0.8090169943749475)), within(1e-12));
		assertThat(rate.at(14, 14)).isCloseTo(0.2, within(1e-12));
		assertThat(rate.at(100, 14)).isCloseTo(0.2, within(1e-12));
		assertThat(new LearningRate(2, 0, Decay.COSINE).at(5, 10)).isCloseTo(1.1, within(1e-12));
	}

	@Test
	void stays() {
		LearningRate rate = new LearningRate(2, 4, Decay.CONSTANT);
		assertThat(rate.at(3, 14)).isEqualTo(1.5);
		assertThat(rate.at(5, 14)).isEqualTo(2);
		assertThat(rate.at(14, 14)).isEqualTo(2);
	}

	@Test
	void fallsInAStraightLine() {
		LearningRate rate = new LearningRate(2, 4, Decay.LINEAR);
		assertThat(rate.at(4, 14)).isEqualTo(2);
		assertThat(rate.at(9, 14)).isCloseTo(1.1, within(1e-12));
		assertThat(rate.at(14, 14)).isCloseTo(0.2, within(1e-12));
	}

	@Test
	void staysAndFallsLate() {
		LearningRate rate = new LearningRate(2, 4, Decay.LATE);
		assertThat(rate.at(2, 14)).isEqualTo(1);
		assertThat(rate.at(12, 14)).isCloseTo(2, within(1e-12));
		assertThat(rate.at(13, 14)).isCloseTo(1.1, within(1e-12));
		assertThat(rate.at(14, 14)).isCloseTo(0.2, within(1e-12));
	}

	@Test
	void aTrainingThatEndsBeforeItsWarmUpOnlyRises() {
		LearningRate rate = new LearningRate(2, 4, Decay.COSINE);
		assertThat(rate.at(2, 2)).isEqualTo(1);
		assertThat(rate.at(5, 2)).isEqualTo(2);
	}

	@Test
	void refusesWhatIsNoRate() {
		for (double greatest : new double[] { 0, -1, Double.NaN, Double.POSITIVE_INFINITY }) {
			assertThatExceptionOfType(InvalidInputException.class)
				.isThrownBy(() -> new LearningRate(greatest, 0, Decay.COSINE))
				.withMessageContaining("learning rate");
		}
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> new LearningRate(1, -1, Decay.COSINE))
			.withMessageContaining("warmup");
	}

}

package io.calm.cli.ablate;

import io.calm.sampling.SampledPatch;
import org.assertj.core.api.InstanceOfAssertFactories;
import org.junit.jupiter.api.Test;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

/** Counted by hand. */
class TallyTest {

	private static final int[] TRUTH = { 1, 2, 3, 4 };

	@Test
	void countsHitsAndCollisionsOfPrefixes() {
		Tally tally = new Tally(1.0 / 3);
		// right up to its 2nd token, and wrong at once
		tally.add(new SampledPatch(new int[] { 1, 2, 9, 4 }, 10, false),
				new SampledPatch(new int[] { 9, 2, 3, 4 }, 30, true), TRUTH);
		// the same up to the 3rd token, of which one is right
		tally.add(new SampledPatch(new int[] { 1, 7, 7, 7 }, 20, false),
				new SampledPatch(new int[] { 1, 7, 7, 8 }, 20, false), TRUTH);
		Point point = tally.point("CALM");
		assertThat(point.name()).isEqualTo("T = 0.33");
		// (1 + 2) / 4 and 1 / 4 of the samples have their first and second token right
		assertThat(point.more()).containsEntry("accuracy_1", 0.75)
			.containsEntry("accuracy_2", 0.25)
			.containsEntry("accuracy_3", 0.0)
			.containsEntry("collisions_1", 0.5)
			.containsEntry("collisions_3", 0.5)
			.containsEntry("collisions_4", 0.0)
			.containsEntry("draws", 20.0)
			.containsEntry("fell_back", 0.25);
		assertThat(point.y()).isCloseTo(0.25, within(1e-12));
		assertThat(point.x()).isCloseTo(3 * 0.5 / 4, within(1e-12));
	}

	@Test
	void errorIsThatOfTheMeanOverPositions() {
		Tally tally = new Tally(1);
		SampledPatch right = new SampledPatch(TRUTH, 1, false);
		SampledPatch wrong = new SampledPatch(new int[] { 5, 5, 5, 5 }, 1, false);
		for (int i = 0; i < 100; i++) {
			SampledPatch both = (i % 4 == 0) ? right : wrong;
			tally.add(both, both, TRUTH);
		}
		Point point = tally.point("CALM");
		assertThat(point).extracting(Point::x, InstanceOfAssertFactories.DOUBLE).isEqualTo(1);
		assertThat(point.y()).isEqualTo(0.25);
		// the standard deviation of a coin of 1/4, over the root of 100
		assertThat(point.error()).isCloseTo(Math.sqrt(0.25 * 0.75) / 10, within(1e-12));
	}

}

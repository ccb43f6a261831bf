package io.calm.graph;

import java.util.Arrays;
import java.util.Random;

import org.junit.jupiter.api.Test;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

class CategoricalTest {

	private static final ProgramOptions OPTIONS = new ProgramOptions(Device.CPU, Precision.FP32, false);

	private static int[] draw(float[] weights, float... uniform) {
		try (ProgramBuilder builder = new ProgramBuilder(OPTIONS)) {
			Ops tf = builder.network().tf();
			Input<TFloat32, float[]> rows = builder.floats(-1, weights.length);
			Input<TFloat32, float[]> numbers = builder.floats(-1);
			Fetch<int[]> drawn = Fetch.ints(Categorical.of(tf, rows.value()).draw(tf, numbers.value()));
			EntryPoint all = builder.entryPoint().fetching(drawn);
			float[] repeated = new float[uniform.length * weights.length];
			for (int i = 0; i < uniform.length; i++) {
				System.arraycopy(weights, 0, repeated, i * weights.length, weights.length);
			}
			try (Program program = builder.build();
					Call call = program.call(all).feed(rows, repeated).feed(numbers, uniform).run()) {
				return call.get(drawn);
			}
		}
	}

	@Test
	void neverDrawsWhatHasNoWeight() {
		float greatest = Math.nextDown(1f);
		assertThat(draw(new float[] { 0, 2, 0, 6, 0 }, 0, 0.2499f, 0.2501f, greatest)).containsExactly(1, 1, 3, 3);
	}

	/** In fp32, each of the last weights would be lost in the sum. */
	@Test
	void unlikelyOutcomesKeepTheirShareTogether() {
		int rare = 20_000;
		float[] weights = new float[rare + 1];
		Arrays.fill(weights, 1e-8f);
		weights[0] = 1;
		double share = rare * 1e-8 / (1 + rare * 1e-8);
		assertThat(draw(weights, (float) (1 - share * 1.01), (float) (1 - share * 0.99), (float) (1 - share / 2)))
			.satisfies((drawn) -> {
				assertThat(drawn[0]).isZero();
				assertThat(drawn[1]).isBetween(1, rare / 50);
				assertThat(drawn[2]).isCloseTo(rare / 2, within(rare / 100));
			});
	}

	/** Rows of different sums, drawn from in any order and number. */
	@Test
	void someDrawsOfEachRowAreThoseOfTheRowAlone() {
		float[][] weights = { { 0, 2, 0, 6, 0 }, { 0.1f, 0, 0, 0, 0.3f }, { 0, 0, 1e-6f, 0, 0 } };
		int[] rows = { 2, 0, 0, 1, 2, 1, 0, 1, 0 };
		float greatest = Math.nextDown(1f);
		float[] uniform = { 0, 0, greatest, 0, greatest, greatest, 0.2499f, 0.2501f, 0.2501f };
		try (ProgramBuilder builder = new ProgramBuilder(OPTIONS)) {
			Ops tf = builder.network().tf();
			Input<TInt32, int[]> owners = builder.ints(-1);
			Input<TFloat32, float[]> numbers = builder.floats(-1);
			Fetch<int[]> drawn = Fetch
				.ints(Categorical.of(tf, tf.constant(weights)).draw(tf, owners.value(), numbers.value()));
			EntryPoint all = builder.entryPoint().fetching(drawn);
			try (Program program = builder.build();
					Call call = program.call(all).feed(owners, rows).feed(numbers, uniform).run()) {
				assertThat(call.get(drawn)).containsExactly(2, 1, 3, 0, 2, 4, 1, 4, 3);
				for (int i = 0; i < rows.length; i++) {
					assertThat(call.get(drawn)[i]).isEqualTo(draw(weights[rows[i]], uniform[i])[0]);
				}
			}
		}
	}

	@Test
	void frequenciesAreTheWeights() {
		float[] weights = { 1, 3, 0, 4 };
		Random random = new Random(1);
		int draws = 40_000;
		float[] uniform = new float[draws];
		for (int i = 0; i < draws; i++) {
			uniform[i] = random.nextFloat();
		}
		int[] counts = new int[4];
		for (int outcome : draw(weights, uniform)) {
			counts[outcome]++;
		}
		double chiSquare = 0;
		for (int i : new int[] { 0, 1, 3 }) {
			double expected = draws * weights[i] / 8;
			chiSquare += Math.pow(counts[i] - expected, 2) / expected;
		}
		assertThat(counts[2]).isZero();
		// two degrees of freedom, p = 0.001
		assertThat(chiSquare).isLessThan(13.8);
	}

}

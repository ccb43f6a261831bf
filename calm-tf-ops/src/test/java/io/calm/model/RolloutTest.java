package io.calm.model;

import java.util.Arrays;
import java.util.List;
import java.util.Random;

import io.calm.graph.Call;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import org.junit.jupiter.api.Test;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

/**
 * A path's hidden states are those of the sequence that ends where the path begins, with
 * the path behind it.
 */
class RolloutTest {

	private static final int LENGTH = 7;

	private static final int STEPS = 3;

	private static final BaselineConfig CONFIG = TinyModel.baseline(20, 0);

	@Test
	void isTheNetworkOnEachPath() {
		// another document begins in the middle
		int[] documents = { 1, 1, 1, 2, 2, 2, 2 };
		Random random = new Random(3);
		int[] tokens = random.ints(LENGTH, 3, 20).toArray();
		int[][] paths = new int[STEPS][];
		Arrays.setAll(paths, (i) -> random.ints(LENGTH, 3, 20).toArray());
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			BaselineTransformer baseline = new BaselineTransformer(builder.network(), CONFIG);
			Input<TInt32, int[]> sequence = builder.ints(LENGTH, 1);
			Rollout rollout = baseline.rollout(sequence.value(),
					builder.network().tf().constant(new int[][] { documents }));
			Fetch<float[]> begun = Fetch.floats(rollout.states());
			EntryPoint all = builder.entryPoint().fetching(begun);
			List<Fetch<float[]>> steps = Arrays.stream(paths)
				.map((step) -> Fetch.floats(rollout.proceed(builder.network()
					.tf()
					.expandDims(builder.network().tf().constant(step), builder.network().tf().constant(1)))))
				.toList();
			all.fetching(steps.toArray(Fetch<?>[]::new));

			Input<TInt32, int[]> whole = builder.ints(LENGTH + STEPS, 1);
			Input<TInt32, int[]> owners = builder.ints(1, LENGTH + STEPS);
			Operand<TFloat32> hidden = baseline.embed(whole.value());
			for (BackboneLayer layer : baseline.layers(owners.value())) {
				hidden = layer.function().apply(hidden);
			}
			Fetch<float[]> plain = Fetch.floats(hidden);
			EntryPoint forward = builder.entryPoint().fetching(plain);
			try (Program program = builder.build()) {
				initialize(program);
				try (Call call = program.call(all).feed(sequence, tokens).run()) {
					for (int i = 0; i < LENGTH; i++) {
						int[] continued = Arrays.copyOf(tokens, LENGTH + STEPS);
						int[] owner = Arrays.copyOf(documents, LENGTH + STEPS);
						for (int step = 0; step < STEPS; step++) {
							continued[i + 1 + step] = paths[step][i];
							owner[i + 1 + step] = documents[i];
						}
						try (Call reference = program.call(forward).feed(whole, continued).feed(owners, owner).run()) {
							float[] expected = reference.get(plain);
							assertRow(call.get(begun), i, expected, i);
							for (int step = 0; step < STEPS; step++) {
								assertRow(call.get(steps.get(step)), i, expected, i + 1 + step);
							}
						}
					}
				}
			}
		}
	}

	/** Weights large enough that attention attends to something. */
	private static void initialize(Program program) {
		program.write(program.variables((name) -> true), (variable) -> {
			Random random = new Random(variable.name().hashCode());
			float[] values = new float[(int) variable.size()];
			for (int i = 0; i < values.length; i++) {
				values[i] = 0.4f * (float) random.nextGaussian();
			}
			return values;
		});
	}

	private static void assertRow(float[] actual, int row, float[] expected, int expectedRow) {
		int width = CONFIG.backbone().hiddenSize();
		assertThat(Arrays.copyOfRange(actual, row * width, (row + 1) * width)).containsExactly(
				Arrays.copyOfRange(expected, expectedRow * width, (expectedRow + 1) * width), within(1e-5f));
	}

}

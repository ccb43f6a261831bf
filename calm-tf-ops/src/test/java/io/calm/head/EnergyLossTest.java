package io.calm.head;

import java.util.Arrays;
import java.util.List;
import java.util.Random;

import io.calm.autoencoder.Posterior;
import io.calm.graph.Call;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Network;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.model.TinyModel;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

/**
 * The loss and its gradient against the definition, written down as plain loops.
 */
class EnergyLossTest {

	private static final int PATCHES = 3;

	private static final int SAMPLES = 4;

	private static final int TARGETS = 5;

	private static final int SIZE = 6;

	private final Random random = new Random(11);

	private final float[] samples = normal(PATCHES * SAMPLES * SIZE);

	private final float[] mean = normal(PATCHES * SIZE);

	private final float[] logDeviation = normal(PATCHES * SIZE);

	private final float[] noise = normal(PATCHES * TARGETS * SIZE);

	@ParameterizedTest
	@ValueSource(doubles = { 0.75, 1, 1.5 })
	void isTheDefinition(double alpha) {
		assertIsTheDefinition(alpha);
	}

	/** As they are at the first step, where a norm has no gradient. */
	@ParameterizedTest
	@ValueSource(doubles = { 0.75, 1, 1.5 })
	void allSamplesAreEqual(double alpha) {
		for (int i = 0; i < this.samples.length; i++) {
			this.samples[i] = this.samples[i / (SAMPLES * SIZE) * SAMPLES * SIZE + i % SIZE];
		}
		assertIsTheDefinition(alpha);
	}

	@ParameterizedTest
	@ValueSource(doubles = { 0.75, 1, 1.5 })
	void aSampleIsATarget(double alpha) {
		// the target 0 of the patch 0 is the mean, and so is the sample 2
		Arrays.fill(this.noise, 0, SIZE, 0);
		System.arraycopy(this.mean, 0, this.samples, 2 * SIZE, SIZE);
		assertIsTheDefinition(alpha);
	}

	private void assertIsTheDefinition(double alpha) {
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			Network network = builder.network();
			Input<TFloat32, float[]> x = builder.floats(PATCHES, SAMPLES, SIZE);
			Input<TFloat32, float[]> mu = builder.floats(PATCHES, SIZE);
			Input<TFloat32, float[]> logSigma = builder.floats(PATCHES, SIZE);
			Input<TFloat32, float[]> epsilon = builder.floats(PATCHES, TARGETS, SIZE);
			Operand<TFloat32> losses = EnergyLoss.of(network, x.value(), new Posterior(mu.value(), logSigma.value()),
					epsilon.value(), alpha);
			Fetch<float[]> loss = Fetch.floats(losses);
			Fetch<float[]> gradient = Fetch.floats(
					builder.gradients(network.tf().sum(losses, network.tf().constant(0)), List.of(x.value())).get(0));
			EntryPoint both = builder.entryPoint().fetching(loss, gradient);
			try (Program program = builder.build();
					Call call = program.call(both)
						.feed(x, this.samples)
						.feed(mu, this.mean)
						.feed(logSigma, this.logDeviation)
						.feed(epsilon, this.noise)
						.run()) {
				for (int patch = 0; patch < PATCHES; patch++) {
					assertThat((double) call.get(loss)[patch]).as("loss of patch " + patch)
						.isCloseTo(definition(patch, doubles(), alpha), within(2e-5));
				}
				float[] actual = call.get(gradient);
				for (int i = 0; i < actual.length; i++) {
					assertThat((double) actual[i]).as("gradient " + i).isCloseTo(slope(i, alpha), within(1e-5));
				}
			}
		}
	}

	/**
	 * The central difference, in double precision. Where two points meet it is 0 by
	 * symmetry, which is the gradient that the loss should take there.
	 */
	private double slope(int i, double alpha) {
		double step = 1e-5;
		int patch = i / (SAMPLES * SIZE);
		double[] moved = doubles();
		moved[i] += step;
		double above = definition(patch, moved, alpha);
		moved = doubles();
		moved[i] -= step;
		return (above - definition(patch, moved, alpha)) / (2 * step);
	}

	private double definition(int patch, double[] x, double alpha) {
		double toTargets = 0;
		double between = 0;
		for (int n = 0; n < SAMPLES; n++) {
			for (int m = 0; m < TARGETS; m++) {
				double square = 0;
				for (int k = 0; k < SIZE; k++) {
					int at = patch * SIZE + k;
					double y = this.mean[at]
							+ Math.exp(this.logDeviation[at]) * this.noise[(patch * TARGETS + m) * SIZE + k];
					square += Math.pow(y - x[(patch * SAMPLES + n) * SIZE + k], 2);
				}
				toTargets += Math.pow(square, alpha / 2);
			}
			for (int other = 0; other < SAMPLES; other++) {
				double square = 0;
				for (int k = 0; k < SIZE; k++) {
					square += Math.pow(x[(patch * SAMPLES + other) * SIZE + k] - x[(patch * SAMPLES + n) * SIZE + k],
							2);
				}
				between += Math.pow(square, alpha / 2);
			}
		}
		return 2 * toTargets / (SAMPLES * TARGETS) - between / (SAMPLES * (SAMPLES - 1));
	}

	private double[] doubles() {
		double[] values = new double[this.samples.length];
		for (int i = 0; i < values.length; i++) {
			values[i] = this.samples[i];
		}
		return values;
	}

	private float[] normal(int size) {
		float[] values = new float[size];
		for (int i = 0; i < size; i++) {
			values[i] = (float) this.random.nextGaussian();
		}
		return values;
	}

}

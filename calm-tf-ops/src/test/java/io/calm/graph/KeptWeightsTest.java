package io.calm.graph;

import java.nio.FloatBuffer;
import java.util.List;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.types.TFloat32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

/**
 * Products of weights that are kept, in one part and in several. All numbers are small
 * integers, so that both precisions are exact.
 */
class KeptWeightsTest {

	private static final int ROWS = 3;

	private static final int IN = 130;

	/** No multiple of the parts, nor of a vector. */
	private static final int OUT = 4103;

	@ParameterizedTest
	@CsvSource({ "FP32, 1, true", "FP32, 2, false", "FP32, 3, false", "FP32, 64, false", "BF16, 1, false",
			"BF16, 2, false", "BF16, 64, false" })
	void areThoseOfTheWeights(Precision precision, int readers, boolean stay) {
		ProgramOptions options = ProgramOptions.DEFAULT.withDevice(Device.CPU).withPrecision(precision);
		try (ProgramBuilder builder = ProgramBuilder.ofKeptWeights(options)) {
			Network built = builder.network();
			Network network = new Network(built.tf(), built.variables(), precision, true, readers, null);
			Variable weights = network.variables().declare("weights", Initializer.ZEROS, OUT, IN);
			network.usedInProductsOnly(weights);
			Input<TFloat32, float[]> x = builder.floats(ROWS, IN);
			Fetch<float[]> product = Fetch.floats(network.matMulTransposed(x.value(), weights.value()));
			Fetch<float[]> again = Fetch.floats(network.matMulTransposed(x.value(), weights.value()));
			EntryPoint entryPoint = builder.entryPoint().fetching(product, again);
			try (Program program = builder.build()) {
				program.load(List.of(weights),
						(variable, target) -> target.accept(FloatBuffer.wrap(numbers(OUT * IN, 7))));
				try (Call call = program.call(entryPoint).feed(x, numbers(ROWS * IN, 5)).run()) {
					assertThat(call.get(product)).isEqualTo(expected());
					assertThat(call.get(again)).isEqualTo(expected());
				}
				if (stay) {
					program.read(List.of(weights), (variable, values) -> assertThat(values).hasSize(OUT * IN));
				}
				else {
					assertThatExceptionOfType(TensorFlowException.class).as("the weights themselves take no room")
						.isThrownBy(() -> program.read(List.of(weights), (variable, values) -> {
						}));
				}
			}
		}
	}

	/** -1, 0 or 1, without a pattern that fits the shapes. */
	private static float[] numbers(int count, int step) {
		float[] numbers = new float[count];
		for (int i = 0; i < count; i++) {
			numbers[i] = (i * step + i / 11 + i / 131) % 3 - 1;
		}
		return numbers;
	}

	private static float[] expected() {
		float[] x = numbers(ROWS * IN, 5);
		float[] weights = numbers(OUT * IN, 7);
		float[] product = new float[ROWS * OUT];
		for (int row = 0; row < ROWS; row++) {
			for (int out = 0; out < OUT; out++) {
				for (int in = 0; in < IN; in++) {
					product[row * OUT + out] += x[row * IN + in] * weights[out * IN + in];
				}
			}
		}
		return product;
	}

}

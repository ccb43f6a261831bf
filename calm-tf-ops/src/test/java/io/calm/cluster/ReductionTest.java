package io.calm.cluster;

import java.util.List;
import java.util.Map;
import java.util.Random;

import io.calm.graph.Call;
import io.calm.graph.Precision;
import io.calm.input.InvalidInputException;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
import org.tensorflow.types.TFloat32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

@EnabledOnOs(OS.LINUX)
class ReductionTest {

	private static final float NUMBER = 1.0009765f;

	@Test
	void addsUpInFp32() {
		assertSums(Precision.FP32, (a, b) -> a + b);
	}

	/** To the bit: rounded before it is added up, and after. */
	@Test
	void sendsGradientsInBf16AndNumbersInFp32() {
		assertSums(Precision.BF16, (a, b) -> rounded(rounded(a) + rounded(b)));
	}

	private interface Addition {

		float of(float a, float b);

	}

	private static void assertSums(Precision precision, Addition addition) {
		List<List<float[]>> sums = TwoWorkers.run(precision, precision, (cluster) -> {
			try (Reduction reduction = cluster
				.reduction(List.of(new long[] { 3, 5 }, new long[] { 7 }, new long[] { 2 }));
					Tensor matrix = tensor(Shape.of(3, 5), values(cluster.workers().index(), 15));
					Tensor vector = tensor(Shape.of(7), values(cluster.workers().index(), 7));
					Call call = reduction.sum(List.of(matrix, vector), new float[] { NUMBER, 0 })) {
				return List.of(floats(reduction.sum(call, 0)), floats(reduction.sum(call, 1)), reduction.numbers(call));
			}
		});
		for (int size : new int[] { 15, 7 }) {
			float[] expected = values(0, size);
			float[] other = values(1, size);
			for (int i = 0; i < size; i++) {
				expected[i] = addition.of(expected[i], other[i]);
			}
			sums.forEach((worker) -> assertThat(worker.get((size == 15) ? 0 : 1)).containsExactly(expected));
		}
		sums.forEach((worker) -> assertThat(worker.get(2)).containsExactly(NUMBER + NUMBER, 0));
	}

	@Test
	void refusesWorkersThatSendInOtherWays() {
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> TwoWorkers.run(Precision.FP32, Precision.BF16, (cluster) -> {
				cluster.agree(Map.of("steps", "1"));
				return 0;
			}))
			.withMessageContaining("worker 1 (")
			.withMessageContaining("has another reduction precision than worker 0 (");
	}

	private static float[] values(int worker, int size) {
		Random random = new Random(worker);
		float[] values = new float[size];
		for (int i = 0; i < size; i++) {
			values[i] = (float) random.nextGaussian();
		}
		return values;
	}

	private static Tensor tensor(Shape shape, float[] values) {
		return TFloat32.tensorOf(shape, DataBuffers.of(values));
	}

	private static float[] floats(Tensor tensor) {
		float[] values = new float[(int) tensor.shape().size()];
		tensor.asRawTensor().data().asFloats().read(values);
		return values;
	}

	/** To 8 bits, and to the even one of two that are as near. */
	private static float rounded(float value) {
		int bits = Float.floatToRawIntBits(value);
		return Float.intBitsToFloat((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000);
	}

}

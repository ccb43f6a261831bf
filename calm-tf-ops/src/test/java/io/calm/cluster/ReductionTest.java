package io.calm.cluster;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;

import io.calm.graph.Call;
import io.calm.graph.Device;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Precision;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.WorkerServer;
import io.calm.input.InvalidInputException;
import io.calm.model.TinyModel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.types.TFloat32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;

@EnabledOnOs(OS.LINUX)
class ReductionTest {

	private static final List<String> SERVER = TwoWorkers.addresses();

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
			int worker = cluster.workers().index();
			try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
				Input<TFloat32, float[]> matrix = builder.floats(3, 5);
				Input<TFloat32, float[]> vector = builder.floats(7);
				Input<TFloat32, float[]> numbers = builder.floats(2);
				List<Fetch<float[]>> fetches = new ArrayList<>();
				cluster.sums(builder, List.of(matrix.value(), vector.value()))
					.forEach((sum) -> fetches.add(Fetch.floats(sum)));
				fetches.add(Fetch.floats(cluster.sum(builder, numbers.value())));
				EntryPoint entryPoint = builder.entryPoint().fetching(fetches.toArray(Fetch<?>[]::new));
				Program program = cluster.open(builder);
				try (Call call = program.call(entryPoint)) {
					call.feed(matrix, values(worker, 15))
						.feed(vector, values(worker, 7))
						.feed(numbers, new float[] { NUMBER, 0 });
					cluster.run(program, call);
					return fetches.stream().map(call::get).toList();
				}
				finally {
					cluster.close(program);
				}
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

	/** NCCL needs the same order on all GPUs. */
	@Test
	void bucketsFollowOneAnotherAndGpusAddUpWithNccl() {
		List<NodeDef> cpu = sums(Device.CPU, Precision.FP32);
		List<NodeDef> gpu = sums(Device.GPU, Precision.BF16);
		assertThat(List.of(cpu, gpu)).allSatisfy((buckets) -> {
			assertThat(buckets).hasSize(3);
			for (int i = 1; i < 3; i++) {
				assertThat(buckets.get(i).getInputList()).contains("^" + buckets.get(i - 1).getName());
			}
		});
		assertThat(cpu).allSatisfy((bucket) -> {
			assertThat(bucket.getDevice()).endsWith("CPU:0");
			assertThat(bucket.getAttrOrThrow("communication_hint").getS().toStringUtf8()).isEqualTo("ring");
			assertThat(bucket.getAttrOrThrow("T").getType()).isEqualTo(DataType.DT_FLOAT);
		});
		assertThat(gpu).allSatisfy((bucket) -> {
			assertThat(bucket.getDevice()).endsWith("GPU:0");
			assertThat(bucket.getAttrOrThrow("communication_hint").getS().toStringUtf8()).isEqualTo("nccl");
			assertThat(bucket.getAttrOrThrow("T").getType()).isEqualTo(DataType.DT_BFLOAT16);
			assertThat(bucket.getAttrOrThrow("group_key")).as("a group is of one kind of device")
				.isNotEqualTo(cpu.get(0).getAttrOrThrow("group_key"));
		});
	}

	/** Four tensors: the second and third go together. */
	private static List<NodeDef> sums(Device device, Precision precision) {
		WorkerServer server = WorkerServer.start(SERVER, 0, Device.CPU);
		try (Graph graph = new Graph()) {
			Ops tf = Ops.create(graph);
			List<Operand<TFloat32>> values = new ArrayList<>();
			for (long size : new long[] { 1 << 22, 3 << 20, 1 << 20, 8 }) {
				values.add(tf.placeholder(TFloat32.class, Placeholder.shape(Shape.of(size))));
			}
			List<Operand<TFloat32>> sums = new Reduction(server, tf, device, precision).sums(values);
			for (int i = 0; i < values.size(); i++) {
				assertThat(sums.get(i).shape()).isEqualTo(values.get(i).shape());
			}
			return graph.toGraphDef()
				.getNodeList()
				.stream()
				.filter((node) -> node.getOp().equals("CollectiveReduce"))
				.toList();
		}
	}

	private static float[] values(int worker, int size) {
		Random random = new Random(worker);
		float[] values = new float[size];
		for (int i = 0; i < size; i++) {
			values[i] = (float) random.nextGaussian();
		}
		return values;
	}

	/** To 8 bits, and to the even one of two that are as near. */
	private static float rounded(float value) {
		int bits = Float.floatToRawIntBits(value);
		return Float.intBitsToFloat((bits + 0x7fff + ((bits >>> 16) & 1)) & 0xffff0000);
	}

}

package io.calm.cluster;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import io.calm.graph.Call;
import io.calm.graph.Device;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Precision;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.graph.WorkerServer;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.Tensor;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat32;

/**
 * Adds tensors up over all workers. Small ones travel together: each message costs some
 * time, whatever its size.
 */
public final class Reduction implements AutoCloseable {

	/** The largest of several tensors that travel together; 16 MB. */
	private static final long BUCKET = 1 << 22;

	private final Cluster cluster;

	private final WorkerServer server;

	private final Program program;

	private final EntryPoint entryPoint;

	private final List<Input<TFloat32, float[]>> values;

	private final List<Fetch<float[]>> sums;

	private Reduction(Cluster cluster, WorkerServer server, Program program, EntryPoint entryPoint,
			List<Input<TFloat32, float[]>> values, List<Fetch<float[]>> sums) {
		this.cluster = cluster;
		this.server = server;
		this.program = program;
		this.entryPoint = entryPoint;
		this.values = values;
		this.sums = sums;
	}

	/**
	 * @param shapes of the tensors
	 * @param precision of all but the last on their way
	 */
	static Reduction of(Cluster cluster, WorkerServer server, List<long[]> shapes, Precision precision) {
		try (ProgramBuilder builder = new ProgramBuilder(ProgramOptions.DEFAULT.withDevice(Device.CPU))) {
			Ops tf = builder.network().tf();
			List<Input<TFloat32, float[]>> values = shapes.stream().map(builder::floats).toList();
			List<Fetch<float[]>> sums = new ArrayList<>();
			int last = shapes.size() - 1;
			int from = 0;
			while (from < last) {
				int to = from + 1;
				long size = size(shapes.get(from));
				while (to < last && size + size(shapes.get(to)) <= BUCKET) {
					size += size(shapes.get(to++));
				}
				sums.addAll(bucket(tf, server, values.subList(from, to), shapes.subList(from, to), precision));
				from = to;
			}
			sums.add(Fetch.floats(server.sum(tf, values.get(last).value())));
			EntryPoint entryPoint = builder.entryPoint().fetching(sums.toArray(Fetch<?>[]::new));
			return new Reduction(cluster, server, server.open(builder), entryPoint, values, sums);
		}
	}

	private static long size(long[] shape) {
		return Arrays.stream(shape).reduce(1, Math::multiplyExact);
	}

	private static List<Fetch<float[]>> bucket(Ops tf, WorkerServer server, List<Input<TFloat32, float[]>> values,
			List<long[]> shapes, Precision precision) {
		if (values.size() == 1) {
			return List.of(Fetch.floats(sum(tf, server, values.get(0).value(), precision)));
		}
		List<Operand<TFloat32>> flat = new ArrayList<>();
		values.forEach((value) -> flat.add(tf.reshape(value.value(), tf.constant(new int[] { -1 }))));
		Operand<TFloat32> sum = sum(tf, server, tf.concat(flat, tf.constant(0)), precision);
		List<Fetch<float[]>> sums = new ArrayList<>();
		int begin = 0;
		for (long[] shape : shapes) {
			int size = Math.toIntExact(size(shape));
			Operand<TFloat32> part = tf.slice(sum, tf.constant(new int[] { begin }), tf.constant(new int[] { size }));
			sums.add(Fetch.floats(tf.reshape(part, tf.constant(shape))));
			begin += size;
		}
		return sums;
	}

	private static Operand<TFloat32> sum(Ops tf, WorkerServer server, Operand<TFloat32> values, Precision precision) {
		return (precision == Precision.BF16)
				? tf.dtypes.cast(server.sum(tf, tf.dtypes.cast(values, TBfloat16.class)), TFloat32.class)
				: server.sum(tf, values);
	}

	/**
	 * Adds up, when all workers have called this.
	 * @param values of this worker, in the order of the shapes
	 * @param numbers the values of the last shape, which are not among the others
	 * @return has the sums until it is closed: see {@link #sum(Call, int)}
	 * @throws LostWorkerException if a worker has gone
	 */
	public Call sum(List<Tensor> values, float[] numbers) {
		return sum(values, numbers, null);
	}

	Call sum(List<Tensor> values, float[] numbers, @Nullable Duration limit) {
		Call call = this.program.call(this.entryPoint);
		try {
			if (limit != null) {
				call.within(limit);
			}
			for (int i = 0; i < values.size(); i++) {
				call.feed(this.values.get(i), values.get(i));
			}
			call.feed(this.values.get(values.size()), numbers);
			return this.cluster.together(call::run);
		}
		catch (RuntimeException ex) {
			call.close();
			throw ex;
		}
	}

	/**
	 * A sum over all workers, as TensorFlow has it.
	 * @param call of {@link #sum(List, float[])}
	 * @param index of the value
	 * @return valid until the call is closed
	 */
	public Tensor sum(Call call, int index) {
		return call.tensor(this.sums.get(index));
	}

	/**
	 * The sums of the numbers.
	 * @param call of {@link #sum(List, float[])}
	 * @return a new array
	 */
	public float[] numbers(Call call) {
		return call.get(this.sums.get(this.sums.size() - 1));
	}

	void cancel() {
		this.server.cancel(this.program);
	}

	@Override
	public void close() {
		this.cluster.forget(this);
		this.server.close(this.program);
	}

}

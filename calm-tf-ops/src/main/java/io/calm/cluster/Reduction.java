package io.calm.cluster;

import java.util.ArrayList;
import java.util.List;

import io.calm.graph.Device;
import io.calm.graph.Precision;
import io.calm.graph.WorkerServer;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat32;

/**
 * Adds tensors up over all workers, within a program that computes them. Small ones
 * travel together, in buckets: each message costs some time, whatever its size. A bucket
 * goes as soon as its tensors are there and the one before has come.
 */
final class Reduction {

	/** The largest of several tensors that travel together, in numbers. */
	private static final long BUCKET = 1 << 22;

	private final WorkerServer server;

	private final Ops tf;

	private final Device device;

	private final Precision precision;

	private @Nullable Op before;

	/**
	 * @param tf where to build
	 * @param device where the tensors are
	 * @param precision of the tensors on their way
	 */
	Reduction(WorkerServer server, Ops tf, Device device, Precision precision) {
		this.server = server;
		this.tf = tf;
		this.device = device;
		this.precision = precision;
	}

	/**
	 * @param values of this worker, in the order in which they are computed
	 * @return their sums
	 */
	List<Operand<TFloat32>> sums(List<Operand<TFloat32>> values) {
		List<Operand<TFloat32>> sums = new ArrayList<>();
		int from = 0;
		while (from < values.size()) {
			int to = from + 1;
			long size = values.get(from).shape().size();
			while (to < values.size() && size + values.get(to).shape().size() <= BUCKET) {
				size += values.get(to++).shape().size();
			}
			sums.addAll(bucket(values.subList(from, to)));
			from = to;
		}
		return sums;
	}

	private List<Operand<TFloat32>> bucket(List<Operand<TFloat32>> values) {
		if (values.size() == 1) {
			return List.of(sum(values.get(0)));
		}
		List<Operand<TFloat32>> flat = new ArrayList<>();
		values.forEach((value) -> flat.add(this.tf.reshape(value, this.tf.constant(new int[] { -1 }))));
		Operand<TFloat32> sum = sum(this.tf.concat(flat, this.tf.constant(0)));
		List<Operand<TFloat32>> sums = new ArrayList<>();
		int begin = 0;
		for (Operand<TFloat32> value : values) {
			int size = Math.toIntExact(value.shape().size());
			Operand<TFloat32> part = this.tf.slice(sum, this.tf.constant(new int[] { begin }),
					this.tf.constant(new int[] { size }));
			sums.add(this.tf.reshape(part, this.tf.constant(value.shape().asArray())));
			begin += size;
		}
		return sums;
	}

	private Operand<TFloat32> sum(Operand<TFloat32> values) {
		// all workers send in the same order, which NCCL needs
		Ops next = (this.before != null) ? this.tf.withControlDependencies(this.before) : this.tf;
		if (this.precision == Precision.FP32) {
			Operand<TFloat32> sum = this.server.sum(next, this.device, values);
			this.before = sum;
			return sum;
		}
		Operand<TBfloat16> sum = this.server.sum(next, this.device, this.tf.dtypes.cast(values, TBfloat16.class));
		this.before = sum;
		return this.tf.dtypes.cast(sum, TFloat32.class);
	}

}

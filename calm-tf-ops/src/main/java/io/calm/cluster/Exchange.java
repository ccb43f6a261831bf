package io.calm.cluster;

import java.time.Duration;

import io.calm.graph.Call;
import io.calm.graph.Device;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.graph.WorkerServer;
import org.jspecify.annotations.Nullable;
import org.tensorflow.types.TFloat32;

/**
 * A program of its own that adds numbers up over all workers.
 *
 * @param program whose call waits until all workers have called theirs
 * @param entryPoint its only one
 * @param values where the numbers of this worker go in
 * @param sums what comes out
 */
record Exchange(Program program, EntryPoint entryPoint, Input<TFloat32, float[]> values, Fetch<float[]> sums) {

	/**
	 * @param size of the numbers, the same for all workers
	 */
	static Exchange of(WorkerServer server, int size) {
		try (ProgramBuilder builder = new ProgramBuilder(ProgramOptions.DEFAULT.withDevice(Device.CPU))) {
			Input<TFloat32, float[]> values = builder.floats(size);
			Fetch<float[]> sums = Fetch.floats(server.sum(builder.network().tf(), Device.CPU, values.value()));
			EntryPoint entryPoint = builder.entryPoint().fetching(sums);
			return new Exchange(server.open(builder), entryPoint, values, sums);
		}
	}

	/**
	 * @param limit after which TensorFlow ends it with an error; null for none
	 */
	float[] sum(float[] numbers, @Nullable Duration limit) {
		try (Call call = this.program.call(this.entryPoint).feed(this.values, numbers)) {
			if (limit != null) {
				call.within(limit);
			}
			return call.run().get(this.sums);
		}
	}

}

package io.calm.cluster;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

import io.calm.graph.Call;
import io.calm.graph.Device;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.graph.WorkerServer;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.VarHandleOp;
import org.tensorflow.types.TFloat32;

/**
 * Whether each worker takes part: a variable on each, which the others read. TensorFlow's
 * threads answer, whatever the worker itself is doing.
 */
final class Presence implements AutoCloseable {

	/** Waits for the others. */
	static final float JOINING = 1;

	/** All others were there. */
	static final float TRAINING = 2;

	static final float ENDED = 3;

	private final WorkerServer server;

	private final Program own;

	private final Input<TFloat32, float[]> value;

	private final EntryPoint assign;

	private final Program peers;

	private final List<Fetch<float[]>> states;

	private final List<EntryPoint> reads;

	private boolean peersClosed;

	private Presence(WorkerServer server, Program own, Input<TFloat32, float[]> value, EntryPoint assign, Program peers,
			List<Fetch<float[]>> states, List<EntryPoint> reads) {
		this.server = server;
		this.own = own;
		this.value = value;
		this.assign = assign;
		this.peers = peers;
		this.states = states;
		this.reads = reads;
	}

	static Presence of(WorkerServer server, Workers workers) {
		try (ProgramBuilder one = builder(); ProgramBuilder all = builder()) {
			Input<TFloat32, float[]> value = one.floats();
			Ops here = server.on(one.network().tf(), workers.index());
			EntryPoint assign = one.entryPoint()
				.changing(List.of(here.assignVariableOp(variable(here, workers.index()), value.value())));
			List<Fetch<float[]>> states = new ArrayList<>();
			List<EntryPoint> reads = new ArrayList<>();
			for (int worker = 0; worker < workers.count(); worker++) {
				Ops there = server.on(all.network().tf(), worker);
				Fetch<float[]> state = Fetch.floats(there.readVariableOp(variable(there, worker), TFloat32.class));
				states.add(state);
				reads.add(all.entryPoint().fetching(state));
			}
			return new Presence(server, server.open(one), value, assign, server.openOnAll(all), states, reads);
		}
	}

	private static ProgramBuilder builder() {
		return new ProgramBuilder(ProgramOptions.DEFAULT.withDevice(Device.CPU));
	}

	private static VarHandleOp variable(Ops tf, int worker) {
		return tf.varHandleOp(TFloat32.class, Shape.scalar(), VarHandleOp.sharedName("calm.presence." + worker));
	}

	/** Tells the others of this worker. */
	void set(float state) {
		try (Call call = this.own.call(this.assign).feed(this.value, new float[] { state })) {
			call.run();
		}
	}

	/**
	 * Asks a worker.
	 * @throws org.tensorflow.exceptions.TensorFlowException if it does not answer, or has
	 * not begun
	 */
	float of(int worker, Duration patience) {
		try (Call call = this.peers.call(this.reads.get(worker)).within(patience)) {
			return call.run().scalar(this.states.get(worker));
		}
	}

	/** No worker is asked any more; to be called while all of them answer. */
	synchronized void closePeers() {
		this.peersClosed = true;
		this.server.close(this.peers);
	}

	@Override
	public synchronized void close() {
		this.server.close(this.own);
		if (!this.peersClosed) {
			// it tells the others, and would wait for one that does not answer
			Thread thread = new Thread(this::closePeers, "calm-leave");
			thread.setDaemon(true);
			thread.start();
		}
	}

}

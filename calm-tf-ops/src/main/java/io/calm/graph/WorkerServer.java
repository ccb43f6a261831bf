package io.calm.graph;

import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

import io.calm.input.InvalidInputException;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerScope;
import org.tensorflow.DeviceSpec;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Server;
import org.tensorflow.Session;
import org.tensorflow.exceptions.TensorFlowException;
import org.tensorflow.internal.c_api.TF_Graph;
import org.tensorflow.internal.c_api.TF_Session;
import org.tensorflow.internal.c_api.TF_SessionOptions;
import org.tensorflow.internal.c_api.TF_Status;
import org.tensorflow.internal.c_api.global.tensorflow;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.ClusterDef;
import org.tensorflow.proto.ConfigProto;
import org.tensorflow.proto.JobDef;
import org.tensorflow.proto.ServerDef;
import org.tensorflow.types.family.TNumber;

/**
 * This process as a worker of TensorFlow's distributed runtime, and programs that run
 * there. TensorFlow cannot end a server, so it stays until the process ends, and a
 * process is a worker of one cluster only.
 */
public final class WorkerServer {

	/** The names of what adds up over workers begin with this. */
	static final String SUMS = "workers";

	private static final String JOB = "worker";

	/**
	 * TensorFlow answers other workers with the threads that compute. One may be busy for
	 * a whole step.
	 */
	private static final int THREADS = 2;

	private static final Map<String, WorkerServer> STARTED = new HashMap<>();

	private final List<String> addresses;

	private final int index;

	private final Device device;

	/** To be cancelled while they run. */
	private final Map<Program, TF_Session> sessions = new IdentityHashMap<>();

	private int sums;

	private WorkerServer(List<String> addresses, int index, Device device) {
		this.addresses = addresses;
		this.index = index;
		this.device = device;
	}

	/**
	 * Starts the server, or finds the one that this process has started before.
	 * @param addresses of all workers, {@code host:port}
	 * @param index of this one
	 * @param device what programs may compute on
	 * @return the server
	 * @throws InvalidInputException if it cannot use its port
	 */
	public static WorkerServer start(List<String> addresses, int index, Device device) {
		Device resolved = device.resolve();
		synchronized (STARTED) {
			String own = addresses.get(index);
			WorkerServer started = STARTED.get(own);
			if (started == null) {
				started = new WorkerServer(addresses, index, resolved);
				ServerDef definition = started.definition();
				StandardError.withhold(NativeRuntime::isInformation, () -> startNative(own, definition));
				STARTED.put(own, started);
			}
			if (!started.addresses.equals(addresses) || started.device != resolved) {
				throw new InvalidInputException("TF_CONFIG",
						"names other workers than before in this process, or the device is another",
						"start a process for each cluster");
			}
			return started;
		}
	}

	private static void startNative(String own, ServerDef definition) {
		try {
			new Server(definition).start();
		}
		catch (TensorFlowException ex) {
			throw new InvalidInputException("TF_CONFIG",
					"gives this worker the address " + own + ", whose port cannot be used (" + ex.getMessage() + ")",
					"choose a free port, or end the process that has it", ex);
		}
	}

	private ServerDef definition() {
		JobDef.Builder job = JobDef.newBuilder().setName(JOB);
		for (int i = 0; i < this.addresses.size(); i++) {
			job.putTasks(i, this.addresses.get(i));
		}
		return ServerDef.newBuilder()
			.setCluster(ClusterDef.newBuilder().addJob(job))
			.setJobName(JOB)
			.setTaskIndex(this.index)
			.setProtocol("grpc")
			.setDefaultSessionConfig(config(this.device)
				.setInterOpParallelismThreads(Math.max(THREADS, Runtime.getRuntime().availableProcessors())))
			.build();
	}

	private static ConfigProto.Builder config(Device device) {
		ConfigProto.Builder config = device.config();
		config.getExperimentalBuilder().setCollectiveGroupLeader(task(0));
		return config;
	}

	private static String task(int index) {
		return "/job:" + JOB + "/replica:0/task:" + index;
	}

	/**
	 * What programs may compute on.
	 * @return CPU or GPU
	 */
	public Device device() {
		return this.device;
	}

	/**
	 * Places operations on a worker.
	 * @param tf where to build
	 * @param worker its index
	 * @return builds operations that the worker runs, on its CPU
	 */
	public Ops on(Ops tf, int worker) {
		return on(tf, worker, Device.CPU);
	}

	private static Ops on(Ops tf, int worker, Device device) {
		return tf.withDevice(DeviceSpec.newBuilder()
			.job(JOB)
			.replica(0)
			.task(worker)
			.deviceType((device == Device.GPU) ? DeviceSpec.DeviceType.GPU : DeviceSpec.DeviceType.CPU)
			.deviceIndex(0)
			.build());
	}

	/**
	 * Where to build what brings values to {@link #sum} and back.
	 * @param builder of the program
	 * @return builds operations that are not fused
	 */
	public static Ops scope(ProgramBuilder builder) {
		return builder.network().tf().withSubScope(SUMS);
	}

	/**
	 * Adds values up over all workers. All of them have to declare their sums in the same
	 * order, and to run them equally often. GPUs add up by themselves, with NCCL.
	 * @param tf where to build
	 * @param device where the values are
	 * @param values of this worker, of the same type and known shape on all
	 * @param <T> what is sent, and added up in
	 * @return the sum, the same bits on all
	 */
	public <T extends TNumber> Operand<T> sum(Ops tf, Device device, Operand<T> values) {
		int key;
		synchronized (this) {
			key = ++this.sums;
		}
		return on(tf, this.index, device).scope()
			.opBuilder("CollectiveReduce", "Sum")
			.addInput(values.asOutput())
			.setAttr("group_size", this.addresses.size())
			.setAttr("group_key", (device == Device.GPU) ? 2 : 1)
			.setAttr("instance_key", key)
			.setAttr("merge_op", "Add")
			.setAttr("final_op", "Id")
			.setAttr("subdiv_offsets", new long[] { 0 })
			.setAttr("communication_hint", (device == Device.GPU) ? "nccl" : "ring")
			.build()
			.<T>output(0);
	}

	/**
	 * Builds a program that runs on this worker, and whose variables others can name.
	 * @param builder of the program
	 * @return to be closed
	 */
	public Program open(ProgramBuilder builder) {
		return open(builder, config(builder.device()).addDeviceFilters(own()).build());
	}

	/**
	 * Builds a program that runs on this worker, with variables of its own.
	 * @param builder of the program
	 * @return to be closed
	 */
	public Program openIsolated(ProgramBuilder builder) {
		return open(builder, config(builder.device()).addDeviceFilters(own()).setIsolateSessionState(true).build());
	}

	private String own() {
		return "/job:" + JOB + "/task:" + this.index;
	}

	/**
	 * Builds a program whose operations may run on any worker. Its first call waits until
	 * all workers have started.
	 * @param builder of the program
	 * @return to be closed while all workers are there
	 */
	public Program openOnAll(ProgramBuilder builder) {
		return open(builder, config(builder.device()).build());
	}

	private Program open(ProgramBuilder builder, ConfigProto config) {
		TF_Session[] opened = new TF_Session[1];
		Program program = builder.build((graph) -> {
			opened[0] = session(graph, "grpc://" + this.addresses.get(this.index), config);
			return javaSession(graph, opened[0]);
		});
		synchronized (this.sessions) {
			this.sessions.put(program, opened[0]);
		}
		return program;
	}

	/**
	 * Ends calls that run, with an error, and all that come.
	 * @param program one of this server
	 */
	public void cancel(Program program) {
		TF_Session session;
		synchronized (this.sessions) {
			session = this.sessions.get(program);
		}
		if (session != null) {
			try (TF_Status status = TF_Status.newStatus()) {
				tensorflow.TF_CloseSession(session, status);
			}
		}
	}

	/**
	 * Closes a program.
	 * @param program one of this server
	 */
	public void close(Program program) {
		synchronized (this.sessions) {
			this.sessions.remove(program);
		}
		program.close();
	}

	private static TF_Session session(Graph graph, String target, ConfigProto config) {
		try (PointerScope scope = new PointerScope()) {
			TF_Status status = TF_Status.newStatus();
			TF_SessionOptions options = TF_SessionOptions.newSessionOptions();
			BytePointer bytes = new BytePointer(config.toByteArray());
			tensorflow.TF_SetConfig(options, bytes, bytes.capacity(), status);
			status.throwExceptionIfNotOK();
			tensorflow.TF_SetTarget(options, target);
			Field handle = Graph.class.getDeclaredField("nativeHandle");
			handle.setAccessible(true);
			TF_Session session = TF_Session.newSession((TF_Graph) handle.get(graph), options, status);
			status.throwExceptionIfNotOK();
			session.retainReference();
			return session;
		}
		catch (ReflectiveOperationException ex) {
			throw new IllegalStateException(ex);
		}
	}

	/** TensorFlow Java has sessions on servers, but no public way to make one. */
	private static Session javaSession(Graph graph, TF_Session session) {
		try {
			Constructor<Session> constructor = Session.class.getDeclaredConstructor(Graph.class, TF_Session.class);
			constructor.setAccessible(true);
			return constructor.newInstance(graph, session);
		}
		catch (ReflectiveOperationException ex) {
			throw new IllegalStateException(ex);
		}
	}

}

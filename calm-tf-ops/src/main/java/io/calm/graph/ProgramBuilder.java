package io.calm.graph;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.Session;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * A program under construction. To be closed when the program is built: the draft of the
 * graph is native memory too.
 */
public final class ProgramBuilder implements AutoCloseable {

	private static final Logger LOG = LoggerFactory.getLogger(ProgramBuilder.class);

	private final ProgramOptions options;

	private final boolean weightsKept;

	private final Device device;

	private final Precision precision;

	private final Graph graph;

	private final Ops tf;

	private final Variables variables;

	private final Input<TInt64, long[]> initialSeed;

	private @Nullable LowRank lowRank;

	/**
	 * Begins a program whose weights may change.
	 * @param options device, precision and fusion
	 */
	public ProgramBuilder(ProgramOptions options) {
		this(options, false);
	}

	private ProgramBuilder(ProgramOptions options, boolean weightsKept) {
		this.options = options;
		this.weightsKept = weightsKept;
		this.device = options.device().resolve();
		this.precision = options.precision().resolve(this.device);
		if (this.precision == Precision.BF16 && this.device == Device.CPU && !NativeRuntime.bfloat16().orElse(true)) {
			LOG.warn("This CPU has no instructions for bfloat16, it computes with fp32 faster");
		}
		this.graph = new Graph();
		this.tf = Ops.create(this.graph);
		this.variables = new Variables(this.tf);
		this.initialSeed = Input.longs(this.tf, 2);
	}

	/**
	 * Begins a program whose weights do not change: they are converted to the precision
	 * of the products once, by {@link Program#load}.
	 * @param options device, precision and fusion
	 * @return the builder
	 */
	public static ProgramBuilder ofKeptWeights(ProgramOptions options) {
		return new ProgramBuilder(options, true);
	}

	/**
	 * Compiles what was declared.
	 * @return the program, its variables not yet set
	 */
	public Program build() {
		return build((compiled) -> new Session(compiled, this.device.config().build()));
	}

	/** What was declared so far. */
	Graph graph() {
		return this.graph;
	}

	/** Compiles what was declared for a session of another kind. */
	Program build(Function<Graph, Session> session) {
		Map<Variable, Program.Access> access = new LinkedHashMap<>();
		this.variables.select((name) -> true).forEach((variable) -> access.put(variable, access(variable)));
		Graph compiled = new Graph();
		GraphDef definition = fuses() ? Fusion.mark(this.graph.toGraphDef()) : this.graph.toGraphDef();
		if (this.device == Device.CPU) {
			definition = WeightGradients.transposeFirst(this.graph, definition);
		}
		compiled.importGraphDef(definition);
		return new Program(compiled, session.apply(compiled), this.device, access, this.initialSeed,
				this.variables.keeping());
	}

	/**
	 * What the program computes on.
	 * @return CPU or GPU
	 */
	public Device device() {
		return this.device;
	}

	@Override
	public void close() {
		this.graph.close();
	}

	/**
	 * XLA for GPUs needs parts of CUDA that a machine may not have; TensorFlow's own
	 * element-wise kernels are good there.
	 */
	private boolean fuses() {
		return this.options.fused() && this.device == Device.CPU;
	}

	private Program.Access access(Variable variable) {
		Operand<TInt64> seed = this.tf.math.add(this.initialSeed.value(),
				this.tf.constant(new long[] { 0, variable.name().hashCode() }));
		Operand<TFloat32> first = variable.initializer().value(this.tf, seed, variable.shape());
		Placeholder<TFloat32> given = this.tf.placeholder(TFloat32.class,
				Placeholder.shape(Shape.of(variable.shape())));
		return new Program.Access(this.tf.assignVariableOp(variable.handle(), first).op().name(), given.op().name(),
				this.tf.assignVariableOp(variable.handle(), given).op().name(), variable.value().op().name());
	}

	/**
	 * Adapts the backbones of networks that are declared from now on.
	 * @param lowRank how; null for networks that learn as a whole, as in the beginning
	 */
	public void adapt(@Nullable LowRank lowRank) {
		this.lowRank = lowRank;
	}

	/**
	 * What layers are built with.
	 * @return operations, variables and precision
	 */
	public Network network() {
		return new Network(this.tf, this.variables, this.precision, this.weightsKept,
				(this.weightsKept && this.device == Device.CPU) ? Runtime.getRuntime().availableProcessors() : 1,
				this.lowRank);
	}

	/**
	 * Declares an input of integers.
	 * @param shape the first dimension may be -1: as many rows as are fed
	 * @return the input
	 */
	public Input<TInt32, int[]> ints(long... shape) {
		return Input.ints(this.tf, shape);
	}

	/**
	 * Declares an input of numbers.
	 * @param shape the first dimension may be -1: as many rows as are fed
	 * @return the input
	 */
	public Input<TFloat32, float[]> floats(long... shape) {
		return Input.floats(this.tf, shape);
	}

	/**
	 * Declares the seed of an entry point's random draws: two numbers.
	 * @return the input, {@code [2]}
	 */
	public Input<TInt64, long[]> seed() {
		return Input.longs(this.tf, 2);
	}

	/**
	 * Describes what was declared as a SavedModel. What is declared later is not in it.
	 * @param signatures what can be called
	 * @param source where the values of variables are
	 * @return the SavedModel, without the values
	 */
	public SavedModelGraph savedModel(List<Signature> signatures, VariableSource source) {
		return SavedModelGraph.of(this.graph, this.tf, this.variables.select((name) -> true), signatures, source);
	}

	/**
	 * Declares an entry point.
	 * @return to be told what it fetches and changes
	 */
	public EntryPoint entryPoint() {
		return new EntryPoint();
	}

	/**
	 * The gradients of a scalar.
	 * @param loss a scalar
	 * @param with the values it depends on
	 * @return its gradient with respect to each, in their order
	 */
	public List<Operand<TFloat32>> gradients(Operand<TFloat32> loss, List<Operand<TFloat32>> with) {
		return gradients(loss, null, with);
	}

	/**
	 * The gradients of something whose own gradient is known: the chain rule's next link.
	 * @param value any shape
	 * @param gradient of a scalar with respect to the value, in the same shape
	 * @param with the values that the value depends on
	 * @return the scalar's gradient with respect to each, in their order
	 */
	public List<Operand<TFloat32>> gradientsThrough(Operand<TFloat32> value, Operand<TFloat32> gradient,
			List<Operand<TFloat32>> with) {
		return gradients(value, new Output<?>[] { gradient.asOutput() }, with);
	}

	private List<Operand<TFloat32>> gradients(Operand<TFloat32> of, Output<?> @Nullable [] given,
			List<Operand<TFloat32>> with) {
		Output<?>[] inputs = with.stream().map(Operand::asOutput).toArray(Output<?>[]::new);
		List<Operand<TFloat32>> gradients = new ArrayList<>();
		for (Output<?> gradient : this.graph.addGradients(null, new Output<?>[] { of.asOutput() }, inputs, given)) {
			gradients.add(gradient.expect(TFloat32.class));
		}
		return gradients;
	}

}

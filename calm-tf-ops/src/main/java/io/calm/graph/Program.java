package io.calm.graph;

import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.stream.IntStream;

import org.jspecify.annotations.Nullable;
import org.tensorflow.Graph;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.FloatDataBuffer;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.TString;

/**
 * A graph that is built once and then called: it owns the variables and all native
 * memory. Calls from several threads are safe as far as they do not change variables.
 */
public final class Program implements AutoCloseable {

	private final Graph graph;

	private final Session session;

	private final Device device;

	private final Map<Variable, Access> variables;

	private final Input<TInt64, long[]> initialSeed;

	private final List<Variables.Keeping> keeping;

	/** Null while calls are not recorded. */
	private volatile @Nullable Trace trace;

	Program(Graph graph, Session session, Device device, Map<Variable, Access> variables,
			Input<TInt64, long[]> initialSeed, List<Variables.Keeping> keeping) {
		this.graph = graph;
		this.session = session;
		this.device = device;
		this.variables = variables;
		this.initialSeed = initialSeed;
		this.keeping = keeping;
	}

	/**
	 * Builds a program in one go.
	 * @param options device, precision and fusion
	 * @param construction declares networks and entry points
	 * @return the program, its variables not yet set
	 */
	public static Program build(ProgramOptions options, Consumer<ProgramBuilder> construction) {
		try (ProgramBuilder builder = new ProgramBuilder(options)) {
			construction.accept(builder);
			return builder.build();
		}
	}

	/**
	 * Does what a new program needs before its first call, such as setting its variables.
	 * If that fails, nobody will have the program to close, so that is done here.
	 * @param steps what to do
	 */
	public void prepare(Consumer<Program> steps) {
		try {
			steps.accept(this);
		}
		catch (RuntimeException | Error ex) {
			close();
			throw ex;
		}
	}

	/**
	 * The device that the program computes on.
	 * @return CPU or GPU
	 */
	public Device device() {
		return this.device;
	}

	/**
	 * Its variables, in the order of their declaration.
	 * @param filter selects by name
	 * @return a new list
	 */
	public List<Variable> variables(Predicate<String> filter) {
		return this.variables.keySet().stream().filter((variable) -> filter.test(variable.name())).toList();
	}

	/**
	 * Begins a call of an entry point, to be fed and run.
	 * @param entryPoint what to call
	 * @return to be fed, run and closed
	 */
	public Call call(EntryPoint entryPoint) {
		return new Call(entryPoint, this.session.runner(), this.trace);
	}

	/**
	 * Records the calls that begin from now on.
	 * @param trace where; null for nowhere, as in the beginning
	 */
	public void record(@Nullable Trace trace) {
		this.trace = trace;
	}

	/**
	 * Sets variables to their first values.
	 * @param variables which
	 * @param seed of those that are drawn
	 */
	public void initialize(List<Variable> variables, long seed) {
		if (variables.isEmpty()) {
			return;
		}
		Session.Runner runner = this.session.runner();
		variables.forEach((variable) -> runner.addTarget(access(variable).initialize()));
		try (Tensor seeds = this.initialSeed.tensor(new long[] { seed, 0 })) {
			runner.feed(this.initialSeed.node(), seeds).run().close();
		}
	}

	/**
	 * Sets variables to given values, all in one step.
	 * @param variables which
	 * @param source gives a variable's values, row by row; is asked for those of one
	 * after the other
	 */
	public void write(List<Variable> variables, Function<Variable, float[]> source) {
		Map<Variable, FloatBuffer> values = new HashMap<>();
		variables.forEach((variable) -> values.put(variable, FloatBuffer.wrap(source.apply(variable))));
		assign(variables, (variable, target) -> target.accept(values.get(variable)));
	}

	/**
	 * Sets variables to given values, some at a time. Where weights do not change any
	 * more and only their copies are needed, makes those copies instead.
	 * @param variables which; all that have no other values, if weights do not change
	 * @param source gives a variable's values, row by row, piece after piece; several
	 * threads ask for those of several variables
	 */
	public void load(List<Variable> variables, BiConsumer<Variable, Consumer<FloatBuffer>> source) {
		Set<Variable> staying = new LinkedHashSet<>(variables);
		this.keeping.forEach((step) -> staying.removeAll(step.weights()));
		List<Variable> some = new ArrayList<>();
		long size = 0;
		for (Variable variable : staying) {
			some.add(variable);
			size += variable.size();
			if (size > Variables.AT_ONCE) {
				assign(some, source);
				some.clear();
				size = 0;
			}
		}
		assign(some, source);
		for (Variables.Keeping step : this.keeping) {
			run(List.copyOf(step.weights()), (variable) -> access(variable).read(), step.operations(), source);
		}
	}

	private void assign(List<Variable> variables, BiConsumer<Variable, Consumer<FloatBuffer>> source) {
		run(variables, (variable) -> access(variable).given(),
				variables.stream().map((variable) -> access(variable).assign()).toList(), source);
	}

	/**
	 * Runs operations with the values of some variables.
	 * @param place where the values of a variable come in
	 */
	private void run(List<Variable> variables, Function<Variable, String> place, List<String> operations,
			BiConsumer<Variable, Consumer<FloatBuffer>> source) {
		if (operations.isEmpty()) {
			return;
		}
		List<TFloat32> tensors = new ArrayList<>();
		try {
			Session.Runner runner = this.session.runner();
			for (Variable variable : variables) {
				TFloat32 tensor = TFloat32.tensorOf(Shape.of(variable.shape()));
				tensors.add(tensor);
				runner.feed(place.apply(variable), tensor);
			}
			fill(tensors, variables, source);
			operations.forEach(runner::addTarget);
			runner.run().close();
		}
		finally {
			tensors.forEach(Tensor::close);
		}
	}

	/**
	 * Fills tensors, several at the same time. When one fails, a parallel stream would no
	 * longer wait for the others, which would write to memory that is free by then.
	 */
	private static void fill(List<TFloat32> tensors, List<Variable> variables,
			BiConsumer<Variable, Consumer<FloatBuffer>> source) {
		Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
		IntStream.range(0, tensors.size()).parallel().filter((i) -> failures.isEmpty()).forEach((i) -> {
			try {
				new Filling(tensors.get(i)).from(variables.get(i), source);
			}
			catch (RuntimeException | Error ex) {
				failures.add(ex);
			}
		});
		Throwable first = failures.poll();
		if (first instanceof Error error) {
			throw error;
		}
		if (first instanceof RuntimeException exception) {
			throw exception;
		}
	}

	/**
	 * Reads variables, all as of one moment.
	 * @param variables which
	 * @param target is given each variable with its values, row by row
	 */
	public void read(List<Variable> variables, BiConsumer<Variable, float[]> target) {
		if (variables.isEmpty()) {
			return;
		}
		Session.Runner runner = this.session.runner();
		variables.forEach((variable) -> runner.fetch(access(variable).read()));
		try (Result result = runner.run()) {
			for (int i = 0; i < variables.size(); i++) {
				float[] values = new float[Math.toIntExact(variables.get(i).size())];
				result.get(i).asRawTensor().data().asFloats().read(values);
				target.accept(variables.get(i), values);
			}
		}
	}

	/**
	 * Writes the values of variables beside a SavedModel.
	 * @param savedModel of the builder of this program, whose {@link VariableSource} is a
	 * bundle
	 * @param directory of the SavedModel
	 */
	public void save(SavedModelGraph savedModel, Path directory) {
		try (Tensor prefix = TString.scalarOf(directory.resolve(SavedModelGraph.BUNDLE).toString())) {
			this.session.runner().feed(savedModel.file(), prefix).addTarget(savedModel.save()).run().close();
		}
	}

	private Access access(Variable variable) {
		Access access = this.variables.get(variable);
		if (access == null) {
			throw new IllegalArgumentException("No variable of this program: " + variable.name());
		}
		return access;
	}

	@Override
	public void close() {
		this.session.close();
		this.graph.close();
	}

	/** Puts values into a tensor, piece after piece. */
	private static final class Filling implements Consumer<FloatBuffer> {

		private FloatDataBuffer free;

		private float[] values = new float[0];

		Filling(TFloat32 tensor) {
			this.free = tensor.asRawTensor().data().asFloats();
		}

		void from(Variable variable, BiConsumer<Variable, Consumer<FloatBuffer>> source) {
			source.accept(variable, this);
			if (this.free.size() > 0) {
				throw new IllegalArgumentException(
						"The values of " + variable.name() + " end " + this.free.size() + " too early");
			}
		}

		@Override
		public void accept(FloatBuffer piece) {
			int length = piece.remaining();
			if (this.values.length < length) {
				this.values = new float[length];
			}
			piece.get(this.values, 0, length);
			this.free.write(this.values, 0, length);
			this.free = this.free.offset(length);
		}

	}

	/** The nodes that set a variable to its first or to a given value, and read it. */
	record Access(String initialize, String given, String assign, String read) {
	}

}

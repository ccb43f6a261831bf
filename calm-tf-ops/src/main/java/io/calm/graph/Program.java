package io.calm.graph;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Consumer;
import java.util.function.Function;
import java.util.function.Predicate;

import org.jspecify.annotations.Nullable;
import org.tensorflow.Graph;
import org.tensorflow.Result;
import org.tensorflow.Session;
import org.tensorflow.Tensor;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.ndarray.buffer.DataBuffers;
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

	private final List<List<String>> keeping;

	/** Null while calls are not recorded. */
	private volatile @Nullable Trace trace;

	Program(Graph graph, Session session, Device device, Map<Variable, Access> variables,
			Input<TInt64, long[]> initialSeed, List<List<String>> keeping) {
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
	 * @param source gives a variable's values, row by row
	 */
	public void write(List<Variable> variables, Function<Variable, float[]> source) {
		if (variables.isEmpty()) {
			return;
		}
		List<Tensor> tensors = new ArrayList<>();
		try {
			Session.Runner runner = this.session.runner();
			for (Variable variable : variables) {
				Tensor tensor = TFloat32.tensorOf(Shape.of(variable.shape()), DataBuffers.of(source.apply(variable)));
				tensors.add(tensor);
				runner.feed(access(variable).given(), tensor);
				runner.addTarget(access(variable).assign());
			}
			runner.run().close();
		}
		finally {
			tensors.forEach(Tensor::close);
		}
	}

	/**
	 * Converts weights that do not change any more, and frees those that only their
	 * copies are needed of; to be called when they are set.
	 */
	public void keepWeights() {
		for (List<String> operations : this.keeping) {
			Session.Runner runner = this.session.runner();
			operations.forEach(runner::addTarget);
			runner.run().close();
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

	/** The nodes that set a variable to its first or to a given value, and read it. */
	record Access(String initialize, String given, String assign, String read) {
	}

}

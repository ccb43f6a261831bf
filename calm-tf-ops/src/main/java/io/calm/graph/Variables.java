package io.calm.graph;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Predicate;
import java.util.stream.Stream;

import org.tensorflow.GraphOperation;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.VarHandleOp;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TNumber;
import org.tensorflow.types.family.TType;

/**
 * The variables of one program, by name. A name can be declared more than once with the
 * same shape: tied weights are one variable.
 */
public final class Variables {

	/** Numbers that a processor computes with at once. */
	private static final int VECTOR = 16;

	/** Values of which there are two copies for a moment. */
	static final long AT_ONCE = 1 << 25;

	private final Ops tf;

	private final Map<String, Variable> byName = new LinkedHashMap<>();

	/** Copies of weights, in parts, by the value they are copied from. */
	private final Map<Operand<TFloat32>, List<VarHandleOp>> copies = new LinkedHashMap<>();

	/** The operations that make what is kept, by the value it is made of. */
	private final Map<Operand<TFloat32>, List<String>> keeping = new LinkedHashMap<>();

	/** Of whose values only copies are needed, by these values. */
	private final Map<Operand<TFloat32>, Variable> onlyCopied = new HashMap<>();

	private int kept;

	Variables(Ops tf) {
		this.tf = tf;
	}

	/**
	 * Declares a variable, or finds the one declared before.
	 * @param name its name
	 * @param initializer its first value
	 * @param shape its shape
	 * @return the variable
	 */
	public Variable declare(String name, Initializer initializer, long... shape) {
		Variable known = this.byName.get(name);
		if (known != null) {
			if (!Arrays.equals(known.shape(), shape)) {
				throw new IllegalArgumentException("Variable " + name + " has the shape "
						+ Arrays.toString(known.shape()) + ", not " + Arrays.toString(shape));
			}
			return known;
		}
		VarHandleOp handle = this.tf.withName(name)
			.varHandleOp(TFloat32.class, Shape.of(shape), VarHandleOp.sharedName(name));
		Operand<TFloat32> value = this.tf.readVariableOp(handle, TFloat32.class);
		Variable variable = new Variable(name, shape.clone(), initializer, handle, value);
		this.byName.put(name, variable);
		return variable;
	}

	/**
	 * A copy of weights that is made once, when {@link Program#load} is called, instead
	 * of at every call.
	 * @param weights {@code [out, in]}, computed from variables only
	 * @param parts how many pieces of rows it is in
	 * @param type of its elements
	 * @return the pieces
	 */
	<T extends TNumber> List<Operand<T>> copy(Operand<TFloat32> weights, int parts, Class<T> type) {
		List<VarHandleOp> handles = this.copies.computeIfAbsent(weights, (value) -> {
			List<VarHandleOp> made = new ArrayList<>();
			int out = Math.toIntExact(value.shape().get(0));
			int in = Math.toIntExact(value.shape().get(1));
			for (int part = 0; part < parts; part++) {
				int from = boundary(out, part, parts);
				Operand<TFloat32> rows = (parts == 1) ? value
						: this.tf.slice(value, this.tf.constant(new int[] { from, 0 }),
								this.tf.constant(new int[] { boundary(out, part + 1, parts) - from, in }));
				made.add(keep(value, this.tf.dtypes.cast(rows, type), type));
			}
			return made;
		});
		List<Operand<T>> pieces = new ArrayList<>();
		handles.forEach((handle) -> pieces.add(this.tf.readVariableOp(handle, type)));
		return pieces;
	}

	/** Where a part begins: at whole vectors of the processor. */
	private static int boundary(int rows, int part, int parts) {
		return (part == parts) ? rows : rows * part / parts / VECTOR * VECTOR;
	}

	/**
	 * A value that is computed once, when {@link Program#load} is called, instead of at
	 * every call.
	 * @param value computed from variables only
	 * @return the same
	 */
	Operand<TFloat32> keep(Operand<TFloat32> value) {
		return this.tf.readVariableOp(keep(value, value, TFloat32.class), TFloat32.class);
	}

	private <T extends TType> VarHandleOp keep(Operand<TFloat32> source, Operand<T> value, Class<T> type) {
		VarHandleOp handle = this.tf.varHandleOp(type, value.shape(), VarHandleOp.sharedName("kept." + this.kept++));
		this.keeping.computeIfAbsent(source, (none) -> new ArrayList<>())
			.add(this.tf.assignVariableOp(handle, value).op().name());
		return handle;
	}

	/**
	 * Says that only copies of a variable are needed: it is never set itself.
	 * @param variable nothing but products with its copies may use it
	 */
	void onlyCopy(Variable variable) {
		this.onlyCopied.put(variable.value(), variable);
	}

	/** Whether these are the values of a variable of which there are only copies. */
	boolean isOnlyCopied(Operand<TFloat32> weights) {
		return this.onlyCopied.containsKey(weights);
	}

	/**
	 * The operations that make what is kept, those of a step together, so that there is
	 * never room taken for all weights and their copies.
	 * @return the steps in their order
	 */
	List<Keeping> keeping() {
		Map<String, Variable> onlyCopied = new HashMap<>();
		this.onlyCopied.forEach((value, weights) -> onlyCopied.put(value.op().name(), weights));
		Keeping ofOthers = Keeping.nothing();
		List<Keeping> steps = new ArrayList<>(List.of(ofOthers));
		Keeping step = Keeping.nothing();
		for (Map.Entry<Operand<TFloat32>, List<String>> each : this.keeping.entrySet()) {
			List<Variable> sources = sources(each.getKey(), onlyCopied).toList();
			if (sources.isEmpty()) {
				ofOthers.operations().addAll(each.getValue());
				continue;
			}
			step.weights().addAll(sources);
			step.operations().addAll(each.getValue());
			if (step.weights().stream().mapToLong(Variable::size).sum() > AT_ONCE) {
				steps.add(step);
				step = Keeping.nothing();
			}
		}
		steps.add(step);
		return steps;
	}

	/** Which of some variables, by their reads, a value is computed from. */
	private static Stream<Variable> sources(Operand<?> value, Map<String, Variable> among) {
		Variable variable = among.get(value.op().name());
		return (variable != null) ? Stream.of(variable)
				: ((GraphOperation) value.op()).inputs().stream().flatMap((input) -> sources(input, among));
	}

	/**
	 * The variables whose names pass a filter, in the order of their declaration.
	 * @param filter what to select
	 * @return a new list
	 */
	public List<Variable> select(Predicate<String> filter) {
		List<Variable> selected = new ArrayList<>();
		this.byName.forEach((name, variable) -> {
			if (filter.test(name)) {
				selected.add(variable);
			}
		});
		return selected;
	}

	/**
	 * The values of variables.
	 * @param variables which
	 * @return the shared read of each, in their order
	 */
	public static List<Operand<TFloat32>> values(List<Variable> variables) {
		return variables.stream().map(Variable::value).toList();
	}

	/**
	 * Makes some of what is kept.
	 *
	 * @param weights whose values it is made of, if only it is needed of them
	 * @param operations that make it
	 */
	record Keeping(Set<Variable> weights, List<String> operations) {

		private static Keeping nothing() {
			return new Keeping(new LinkedHashSet<>(), new ArrayList<>());
		}

	}

}

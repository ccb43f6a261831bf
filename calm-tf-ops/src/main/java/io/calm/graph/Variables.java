package io.calm.graph;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

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

	/** Weights that are copied before the first of them are freed. */
	private static final long AT_ONCE = 1 << 24;

	private final Ops tf;

	private final Map<String, Variable> byName = new LinkedHashMap<>();

	/** Copies of weights, in parts, by the value they are copied from. */
	private final Map<Operand<TFloat32>, List<VarHandleOp>> copies = new LinkedHashMap<>();

	/** The operations that make what is kept, by the value it is made of. */
	private final Map<Operand<TFloat32>, List<String>> keeping = new LinkedHashMap<>();

	/** Of whose values only copies are needed, by these values. */
	private final Map<Operand<TFloat32>, Release> releasing = new LinkedHashMap<>();

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
	 * A copy of weights that is made once, when {@link Program#keepWeights} is called,
	 * instead of at every call.
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
	 * A value that is computed once, when {@link Program#keepWeights} is called, instead
	 * of at every call.
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
	 * Frees a variable of which only copies are needed, once they are made.
	 * @param variable nothing but products with its copies may use it
	 */
	void release(Variable variable) {
		this.releasing.computeIfAbsent(variable.value(),
				(value) -> new Release(this.tf.destroyResourceOp(variable.handle()).op().name(), variable.size()));
	}

	/** Whether these are the values of a variable that will be freed. */
	boolean isReleased(Operand<TFloat32> weights) {
		return this.releasing.containsKey(weights);
	}

	/**
	 * The operations that make the copies and free what was copied, those of a step
	 * together. Variables are freed while others are not copied yet, so that there is
	 * never room taken for all of both.
	 * @return the steps in their order
	 */
	List<List<String>> keeping() {
		Map<Operand<TFloat32>, List<String>> left = new LinkedHashMap<>(this.keeping);
		left.keySet().removeAll(this.releasing.keySet());
		List<List<String>> steps = new ArrayList<>();
		steps.add(left.values().stream().flatMap(List::stream).toList());
		List<String> made = new ArrayList<>();
		List<String> freed = new ArrayList<>();
		long size = 0;
		for (Map.Entry<Operand<TFloat32>, Release> each : this.releasing.entrySet()) {
			made.addAll(this.keeping.getOrDefault(each.getKey(), List.of()));
			freed.add(each.getValue().operation());
			size += each.getValue().size();
			if (size > AT_ONCE) {
				steps.add(List.copyOf(made));
				steps.add(List.copyOf(freed));
				made.clear();
				freed.clear();
				size = 0;
			}
		}
		steps.add(made);
		steps.add(freed);
		return steps.stream().filter((step) -> !step.isEmpty()).toList();
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
	 * What frees a variable.
	 *
	 * @param operation that does it
	 * @param size how many values it has
	 */
	private record Release(String operation, long size) {
	}

}

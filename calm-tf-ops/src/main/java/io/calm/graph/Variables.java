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
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.family.TType;

/**
 * The variables of one program, by name. A name can be declared more than once with the
 * same shape: tied weights are one variable.
 */
public final class Variables {

	private final Ops tf;

	private final Map<String, Variable> byName = new LinkedHashMap<>();

	/** Copies of weights in bf16, by the value they are copied from. */
	private final Map<Operand<TFloat32>, Operand<TBfloat16>> kept = new LinkedHashMap<>();

	private final List<String> keeping = new ArrayList<>();

	private final List<String> releasing = new ArrayList<>();

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
	 * A copy of weights in bf16 that is made once, when {@link Program#keepWeights} is
	 * called, instead of at every call.
	 * @param weights computed from variables only
	 * @return the copy
	 */
	Operand<TBfloat16> kept(Operand<TFloat32> weights) {
		return this.kept.computeIfAbsent(weights,
				(value) -> keep(this.tf.dtypes.cast(value, TBfloat16.class), TBfloat16.class));
	}

	/**
	 * A value that is computed once, when {@link Program#keepWeights} is called, instead
	 * of at every call.
	 * @param value computed from variables only
	 * @param type of its elements
	 * @return the same
	 */
	<T extends TType> Operand<T> keep(Operand<T> value, Class<T> type) {
		VarHandleOp handle = this.tf.varHandleOp(type, value.shape(),
				VarHandleOp.sharedName("kept." + this.keeping.size()));
		this.keeping.add(this.tf.assignVariableOp(handle, value).op().name());
		return this.tf.readVariableOp(handle, type);
	}

	/**
	 * Frees a variable of which only copies are needed, once they are made.
	 * @param variable nothing but products with its copies may use it
	 */
	void release(Variable variable) {
		this.releasing.add(this.tf.destroyResourceOp(variable.handle()).op().name());
	}

	/** The operations that make the copies. */
	List<String> keeping() {
		return this.keeping;
	}

	/** The operations that free what was copied. */
	List<String> releasing() {
		return this.releasing;
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

}

package io.calm.graph;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TString;
import org.tensorflow.types.family.TType;

/**
 * Where a SavedModel has the values of its variables.
 */
@FunctionalInterface
public interface VariableSource {

	/** In its own bundle of variables, which {@link Program#save} writes. */
	VariableSource BUNDLE = (tf, file, variables) -> {
		List<Output<?>> read = tf.train
			.restore(file, names(tf, variables), slices(tf, variables),
					variables.stream().<Class<? extends TType>>map((variable) -> TFloat32.class).toList())
			.tensors();
		return IntStream.range(0, variables.size())
			.boxed()
			.collect(Collectors.toMap(variables::get, (i) -> read.get(i).expect(TFloat32.class)));
	};

	/**
	 * Reads the values.
	 * @param tf where to build it
	 * @param file a scalar, {@code variables/variables} in the directory of the
	 * SavedModel
	 * @param variables to read
	 * @return the value of each
	 */
	Map<Variable, Operand<TFloat32>> read(Ops tf, Operand<TString> file, List<Variable> variables);

	/** The names of variables in a bundle. */
	static Operand<TString> names(Ops tf, List<Variable> variables) {
		return tf.array(variables.stream().map(Variable::name).toArray(String[]::new));
	}

	/** Which parts of variables are in a bundle: all. */
	static Operand<TString> slices(Ops tf, List<Variable> variables) {
		String[] whole = new String[variables.size()];
		Arrays.fill(whole, "");
		return tf.array(whole);
	}

}

package io.calm.export;

import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import io.calm.checkpoint.ElementType;
import io.calm.checkpoint.TensorEntry;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Variable;
import io.calm.graph.VariableSource;
import io.calm.input.InvalidInputException;
import io.calm.model.ModelFiles;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TBfloat16;
import org.tensorflow.types.TFloat16;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TString;

/**
 * Weights that lie in the model's own files, one directory above a SavedModel. Numbers
 * are read as they are stored, row by row in little-endian order.
 *
 * @param model the directory, for errors
 * @param weights the files
 */
record StoredWeights(Path model, TensorFile weights) implements VariableSource {

	/** What the path of a SavedModel's variables ends with, and its directory's name. */
	private static final String OF_SAVED_MODEL = "[^/\\\\]+[/\\\\]variables[/\\\\]variables$";

	@Override
	public Map<Variable, Operand<TFloat32>> read(Ops tf, Operand<TString> file, List<Variable> variables) {
		Map<Path, Operand<TString>> contents = new HashMap<>();
		Map<Variable, Operand<TFloat32>> values = new LinkedHashMap<>();
		for (Variable variable : variables) {
			TensorEntry entry = this.weights.entry(ModelFiles.nameInFile(variable, this.model, this.weights));
			TensorFile.Place place = this.weights.place(entry.name())
				.orElseThrow(() -> new InvalidInputException(this.model.toString(),
						"stores the tensor " + entry.name() + " otherwise than row by row",
						"save the weights as safetensors"));
			Operand<TString> content = contents.computeIfAbsent(place.file().getFileName(),
					(name) -> tf.io.readFile(tf.strings.staticRegexReplace(file, OF_SAVED_MODEL, name.toString())));
			Operand<TString> bytes = tf.strings.substr(content, tf.constant(place.offset()),
					tf.constant(place.bytes()));
			values.put(variable, tf.reshape(numbers(tf, bytes, entry.type()), tf.constant(variable.shape())));
		}
		return values;
	}

	private Operand<TFloat32> numbers(Ops tf, Operand<TString> bytes, ElementType type) {
		return switch (type) {
			case F32 -> tf.io.decodeRaw(bytes, TFloat32.class);
			case F64 -> tf.dtypes.cast(tf.io.decodeRaw(bytes, TFloat64.class), TFloat32.class);
			case F16 -> tf.dtypes.cast(tf.io.decodeRaw(bytes, TFloat16.class), TFloat32.class);
			case BF16 -> tf.dtypes.cast(tf.io.decodeRaw(bytes, TBfloat16.class), TFloat32.class);
			default -> throw new InvalidInputException(this.model.toString(), "has weights of type " + type,
					"give a model of floating-point numbers");
		};
	}

}

package io.calm.graph;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;

import org.tensorflow.Graph;
import org.tensorflow.Operand;
import org.tensorflow.Output;
import org.tensorflow.TensorFlow;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.proto.CollectionDef;
import org.tensorflow.proto.MetaGraphDef;
import org.tensorflow.proto.SavedModel;
import org.tensorflow.proto.SaverDef;
import org.tensorflow.proto.SignatureDef;
import org.tensorflow.proto.TensorInfo;
import org.tensorflow.proto.TensorShapeProto;
import org.tensorflow.proto.VariableDef;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TString;
import org.tensorflow.types.family.TType;

/**
 * A program as a SavedModel, TensorFlow's own format. TensorFlow Java's exporter leaves
 * resource variables out, so the description is made here: the graph without values,
 * signatures, the variables, and how to save and restore them.
 */
public final class SavedModelGraph {

	/** The path of the bundle of variables in the directory of a SavedModel. */
	static final String BUNDLE = "variables/variables";

	private static final String FILE = "saved_model.pb";

	private final SavedModel description;

	private final String file;

	private final String save;

	private SavedModelGraph(SavedModel description, String file, String save) {
		this.description = description;
		this.file = file;
		this.save = save;
	}

	static SavedModelGraph of(Graph graph, Ops tf, List<Variable> variables, List<Signature> signatures,
			VariableSource source) {
		Operand<TString> file = tf.placeholder(TString.class, Placeholder.shape(Shape.scalar()));
		List<Operand<?>> values = List.copyOf(Variables.values(variables));
		Op save = tf.train.save(file, VariableSource.names(tf, variables), VariableSource.slices(tf, variables),
				values);
		Operand<TString> saved = tf.withControlDependencies(save).identity(file);
		Map<Variable, Operand<TFloat32>> read = source.read(tf, file, variables);
		List<Op> assigned = new ArrayList<>();
		CollectionDef.BytesList.Builder all = CollectionDef.BytesList.newBuilder();
		for (Variable variable : variables) {
			Op assign = tf.assignVariableOp(variable.handle(), Objects.requireNonNull(read.get(variable)));
			assigned.add(assign);
			all.addValue(VariableDef.newBuilder()
				.setVariableName(name(variable.handle()))
				.setInitializerName(assign.op().name())
				.setSnapshotName(name(variable.value()))
				.setIsResource(true)
				.setTrainable(true)
				.build()
				.toByteString());
		}
		Op restore = tf.withControlDependencies(assigned).noOp();
		CollectionDef collection = CollectionDef.newBuilder().setBytesList(all).build();
		MetaGraphDef.Builder meta = MetaGraphDef.newBuilder()
			.setMetaInfoDef(MetaGraphDef.MetaInfoDef.newBuilder()
				.addTags("serve")
				.setTensorflowVersion(TensorFlow.version())
				.setStrippedDefaultAttrs(false))
			.setGraphDef(graph.toGraphDef())
			.setSaverDef(SaverDef.newBuilder()
				.setFilenameTensorName(name(file))
				.setSaveTensorName(name(saved))
				.setRestoreOpName(restore.op().name())
				.setVersion(SaverDef.CheckpointFormatVersion.V2))
			.putCollectionDef("variables", collection)
			.putCollectionDef("trainable_variables", collection);
		signatures.forEach((signature) -> meta.putSignatureDef(signature.name(), definition(signature)));
		SavedModel description = SavedModel.newBuilder().setSavedModelSchemaVersion(1).addMetaGraphs(meta).build();
		return new SavedModelGraph(description, file.asOutput().op().name(), save.op().name());
	}

	private static SignatureDef definition(Signature signature) {
		SignatureDef.Builder definition = SignatureDef.newBuilder().setMethodName("tensorflow/serving/predict");
		signature.inputs().forEach((name, input) -> definition.putInputs(name, info(input)));
		signature.outputs().forEach((name, output) -> definition.putOutputs(name, info(output)));
		return definition.build();
	}

	private static TensorInfo info(Operand<? extends TType> operand) {
		TensorShapeProto.Builder shape = TensorShapeProto.newBuilder();
		for (long size : operand.shape().asArray()) {
			shape.addDim(TensorShapeProto.Dim.newBuilder().setSize(size));
		}
		return TensorInfo.newBuilder()
			.setName(name(operand))
			.setDtype(operand.asOutput().dataType())
			.setTensorShape(shape)
			.build();
	}

	private static String name(Operand<?> operand) {
		Output<?> output = operand.asOutput();
		return output.op().name() + ":" + output.index();
	}

	/**
	 * Writes the description of the SavedModel.
	 * @param directory of the SavedModel, which exists
	 * @throws IOException if it cannot be written
	 */
	public void write(Path directory) throws IOException {
		Files.write(directory.resolve(FILE), this.description.toByteArray());
	}

	/** The input that is fed where the variables are. */
	String file() {
		return this.file;
	}

	/** The operation that writes the variables. */
	String save() {
		return this.save;
	}

}

package io.calm.graph;

import java.util.ArrayList;
import java.util.List;

import org.tensorflow.Graph;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.DataType;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.proto.TensorProto;
import org.tensorflow.proto.TensorShapeProto;

/**
 * The gradient of a matrix of weights is the product {@code dyᵀ·x}. For small matrices
 * oneDNN computes it at a third to a half of the speed of other products of that size; it
 * is faster to transpose {@code dy} before. Where a side is short, the transposition
 * costs more than it saves: a step of preset nano takes a tenth less without.
 * TensorFlow's optimizer would take a transposition along constant axes back into the
 * product, so the axes are no constant.
 */
final class WeightGradients {

	/** The largest results, in numbers, that were seen to be slow. */
	private static final long SMALL = 512 * 512;

	/** The least side of results that were seen to be slow. */
	private static final int SHORT = 256;

	private static final String CONSTANT = "weight_gradients/constant";

	private static final String AXES = "weight_gradients/axes";

	private WeightGradients() {
	}

	/**
	 * Transposes the first operand of such products.
	 * @param graph knows the shapes
	 * @param definition of the graph
	 * @return the changed definition
	 */
	static GraphDef transposeFirst(Graph graph, GraphDef definition) {
		GraphDef.Builder changed = definition.toBuilder();
		List<NodeDef> transposes = new ArrayList<>();
		for (NodeDef.Builder node : changed.getNodeBuilderList()) {
			if (isSmallWeightGradient(graph, node)) {
				String transposed = node.getName() + "/transposed";
				transposes.add(NodeDef.newBuilder()
					.setName(transposed)
					.setOp("Transpose")
					.setDevice(node.getDevice())
					.addInput(node.getInput(0))
					.addInput(AXES)
					.putAttr("T", type(DataType.DT_FLOAT))
					.putAttr("Tperm", type(DataType.DT_INT32))
					.build());
				node.setInput(0, transposed).putAttr("transpose_a", AttrValue.newBuilder().setB(false).build());
			}
		}
		if (!transposes.isEmpty()) {
			changed.addAllNode(axes()).addAllNode(transposes);
		}
		return changed.build();
	}

	private static boolean isSmallWeightGradient(Graph graph, NodeDef.Builder node) {
		if (!node.getOp().equals("MatMul") || !node.getAttrOrThrow("transpose_a").getB()
				|| node.getAttrOrThrow("T").getType() != DataType.DT_FLOAT) {
			return false;
		}
		Shape shape = graph.operation(node.getName()).output(0).shape();
		return !shape.hasUnknownDimension() && shape.size() <= SMALL && Math.min(shape.get(0), shape.get(1)) >= SHORT;
	}

	/** {@code [1, 0]}, as something that might be fed. */
	private static List<NodeDef> axes() {
		TensorShapeProto two = TensorShapeProto.newBuilder()
			.addDim(TensorShapeProto.Dim.newBuilder().setSize(2))
			.build();
		TensorProto values = TensorProto.newBuilder()
			.setDtype(DataType.DT_INT32)
			.setTensorShape(two)
			.addIntVal(1)
			.addIntVal(0)
			.build();
		NodeDef constant = NodeDef.newBuilder()
			.setName(CONSTANT)
			.setOp("Const")
			.putAttr("dtype", type(DataType.DT_INT32))
			.putAttr("value", AttrValue.newBuilder().setTensor(values).build())
			.build();
		NodeDef axes = NodeDef.newBuilder()
			.setName(AXES)
			.setOp("PlaceholderWithDefault")
			.addInput(CONSTANT)
			.putAttr("dtype", type(DataType.DT_INT32))
			.putAttr("shape", AttrValue.newBuilder().setShape(two).build())
			.build();
		return List.of(constant, axes);
	}

	private static AttrValue type(DataType type) {
		return AttrValue.newBuilder().setType(type).build();
	}

}

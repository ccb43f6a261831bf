package io.calm.graph;

import java.util.Set;

import org.tensorflow.proto.AttrValue;
import org.tensorflow.proto.GraphDef;
import org.tensorflow.proto.NodeDef;

/**
 * Marks element-wise work and reductions for XLA, which compiles every connected group of
 * them to one kernel for the machine at hand. Matrix products stay with TensorFlow, whose
 * oneDNN kernels are faster and know bfloat16. The published binary's own element-wise
 * kernels are built for SSE: without this they take most of a training step.
 */
final class Fusion {

	private static final Set<String> FUSED = Set.of("Abs", "Add", "AddN", "AddV2", "BiasAdd", "BiasAddGrad",
			"BroadcastGradientArgs", "BroadcastTo", "Cast", "ConcatV2", "ConcatOffset", "Const", "Equal", "Exp",
			"ExpandDims", "Fill", "FloorDiv", "Greater", "GreaterEqual", "Identity", "Inv", "L2Loss", "Less",
			"LessEqual", "Log", "Log1p", "LogicalAnd", "LogicalNot", "LogicalOr", "Max", "Maximum", "Mean", "Min",
			"Minimum", "Mul", "Neg", "NotEqual", "OneHot", "OnesLike", "Pack", "Pad", "PadV2", "Pow", "Prod", "Range",
			"RealDiv", "Reciprocal", "Reshape", "Rsqrt", "RsqrtGrad", "Select", "SelectV2", "Shape", "Sigmoid",
			"SigmoidGrad", "Size", "Slice", "Softmax", "Split", "SplitV", "Sqrt", "SqrtGrad", "Square",
			"SquaredDifference", "Squeeze", "StopGradient", "Sub", "Sum", "Tanh", "TanhGrad", "Tile", "Transpose",
			"Unpack", "ZerosLike", "StatelessRandomNormal", "StatelessRandomUniform");

	private Fusion() {
	}

	/**
	 * @param graph what to mark, but for what brings gradients to other workers: a
	 * compiled group begins when all that goes into it is there, and they are to go
	 * before
	 */
	static GraphDef mark(GraphDef graph) {
		AttrValue yes = AttrValue.newBuilder().setB(true).build();
		GraphDef.Builder marked = graph.toBuilder();
		for (NodeDef.Builder node : marked.getNodeBuilderList()) {
			if (FUSED.contains(node.getOp()) && !node.getName().startsWith(WorkerServer.SUMS)) {
				node.putAttr("_XlaCompile", yes);
			}
		}
		return marked.build();
	}

}

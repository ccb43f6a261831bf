package io.calm.graph;

import java.util.List;

import org.junit.jupiter.api.Test;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.proto.NodeDef;
import org.tensorflow.types.TFloat32;

import static org.assertj.core.api.Assertions.assertThat;

class FusionTest {

	/** Else a gradient would wait for all that is fused with it. */
	@Test
	void leavesOutWhatGoesToOtherWorkers() {
		try (ProgramBuilder builder = new ProgramBuilder(ProgramOptions.DEFAULT.withDevice(Device.CPU))) {
			Operand<TFloat32> gradient = builder.floats(2).value();
			Ops tf = builder.network().tf();
			Operand<TFloat32> computed = tf.math.mul(gradient, gradient);
			for (int i = 0; i < 2; i++) {
				Ops workers = WorkerServer.scope(builder);
				workers.concat(List.of(computed, computed), workers.constant(0));
			}
			List<NodeDef> marked = Fusion.mark(builder.graph().toGraphDef())
				.getNodeList()
				.stream()
				.filter((node) -> node.containsAttr("_XlaCompile"))
				.toList();
			assertThat(marked).extracting(NodeDef::getOp).contains("Mul").doesNotContain("ConcatV2");
		}
	}

}

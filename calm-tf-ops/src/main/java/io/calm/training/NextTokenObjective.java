package io.calm.training;

import java.util.List;

import io.calm.graph.Network;
import io.calm.graph.ProgramBuilder;
import io.calm.layer.CrossEntropy;
import io.calm.model.BaselineConfig;
import io.calm.model.BaselineTransformer;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TInt32;

/**
 * What the baseline learns: the mean cross entropy, in nats, of all tokens that can be
 * predicted.
 */
final class NextTokenObjective {

	private NextTokenObjective() {
	}

	/** From sequences whose patches are single tokens. */
	static TrainingProgram.Objective of(ProgramBuilder builder, BaselineConfig config, Sequences sequences) {
		Network network = builder.network();
		Ops tf = network.tf();
		BaselineTransformer baseline = new BaselineTransformer(network, config);
		// [B·(S-1), 1]
		Operand<TInt32> labels = NextPositionObjective.predicted(tf, sequences, 1);
		NextPositionObjective.Part part = new NextPositionObjective.Part(BaselineTransformer::isOutputParameter, 1,
				baseline.rowsAtOnce(), (hidden, from, earlier) -> {
					Operand<TInt32> some = NextPositionObjective.rows(tf, labels, from, (int) hidden.shape().get(0));
					return CrossEntropy.of(network, baseline.logits(hidden),
							tf.reshape(some, tf.constant(new int[] { -1 })));
				});
		return NextPositionObjective.of(builder, sequences,
				new NextPositionObjective.Model(baseline.embed(sequences.tokens()),
						BaselineTransformer::isEmbeddingParameter, baseline.layers(sequences.documents()),
						List.of(part)));
	}

}

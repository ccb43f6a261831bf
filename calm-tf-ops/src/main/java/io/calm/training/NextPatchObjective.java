package io.calm.training;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.autoencoder.Posterior;
import io.calm.graph.Draws;
import io.calm.graph.ProgramBuilder;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TInt32;

/**
 * What a CALM language model learns: the mean loss over all patches that can be
 * predicted.
 */
final class NextPatchObjective {

	/** Rows of the head, patches times samples, that are computed together. */
	private static final int ROWS = 1024;

	private NextPatchObjective() {
	}

	static TrainingProgram.Objective of(ProgramBuilder builder, CalmConfig config, AutoencoderConfig autoencoder,
			Sequences sequences, Draws draws) {
		Ops tf = builder.network().tf();
		CalmNetwork calm = new CalmNetwork(builder.network(), config, autoencoder);
		Operand<TInt32> next = NextPositionObjective.predicted(tf, sequences);
		Posterior posterior = calm.posterior(next);
		NextPositionObjective.Model model = new NextPositionObjective.Model(calm.embed(sequences.tokens()),
				CalmNetwork::isEmbeddingParameter, calm.layers(sequences.tokens(), sequences.documents()),
				CalmNetwork::isHeadParameter, Math.max(1, ROWS / config.head().samples()));
		return NextPositionObjective.of(builder, sequences, model, (states, from, earlier) -> {
			int rows = (int) states.shape().get(0);
			Posterior target = new Posterior(NextPositionObjective.rows(tf, posterior.mean(), from, rows),
					NextPositionObjective.rows(tf, posterior.logDeviation(), from, rows));
			return calm.loss(states, target, NextPositionObjective.rows(tf, next, from, rows), draws.after(earlier));
		});
	}

}

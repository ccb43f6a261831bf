package io.calm.training;

import java.util.ArrayList;
import java.util.List;

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
 * predicted. Its parts are the loss of their tokens and that of their vectors, which may
 * be learned in some of a step's sequences only: an estimate of the same mean.
 */
final class NextPatchObjective {

	/** Numbers of a layer of the head, rows times width, that are computed together. */
	private static final int OF_LAYER = 1 << 20;

	/** Logits that are computed together. */
	private static final int LOGITS = 1 << 22;

	private NextPatchObjective() {
	}

	static TrainingProgram.Objective of(ProgramBuilder builder, CalmConfig config, AutoencoderConfig autoencoder,
			Sequences sequences, Draws draws) {
		return of(builder, config, autoencoder, sequences, draws, Integer.MAX_VALUE);
	}

	/** The same, of not more than some rows at a time. */
	static TrainingProgram.Objective of(ProgramBuilder builder, CalmConfig config, AutoencoderConfig autoencoder,
			Sequences sequences, Draws draws, int most) {
		CalmNetwork calm = new CalmNetwork(builder.network(), config, autoencoder);
		List<NextPositionObjective.Part> parts = new ArrayList<>();
		if (config.tokenLoss() > 0) {
			parts.add(tokens(builder.network().tf(), calm, sequences, draws, most));
		}
		parts.add(vectors(builder.network().tf(), calm, sequences, draws, most));
		return NextPositionObjective.of(builder, sequences,
				new NextPositionObjective.Model(calm.embed(sequences.tokens()), CalmNetwork::isEmbeddingParameter,
						calm.layers(sequences.tokens(), sequences.documents()), parts));
	}

	private static NextPositionObjective.Part tokens(Ops tf, CalmNetwork calm, Sequences sequences, Draws draws,
			int most) {
		CalmConfig config = calm.config();
		Operand<TInt32> next = NextPositionObjective.predicted(tf, sequences, 1);
		int rows = Math.min(most, Math.max(1, LOGITS / config.guessedTokens() / config.vocabularySize()));
		return new NextPositionObjective.Part(CalmNetwork::isTokenParameter, 1, rows,
				(states, from, earlier) -> calm.tokenLoss(states,
						NextPositionObjective.rows(tf, next, from, (int) states.shape().get(0)), draws.after(earlier)));
	}

	private static NextPositionObjective.Part vectors(Ops tf, CalmNetwork calm, Sequences sequences, Draws draws,
			int most) {
		CalmConfig config = calm.config();
		int every = every(config.vectorEvery(), (int) sequences.documents().shape().get(0));
		Operand<TInt32> next = NextPositionObjective.predicted(tf, sequences, every);
		Posterior posterior = calm.posterior(next);
		int rows = Math.min(most, Math.max(1, OF_LAYER / config.backbone().hiddenSize() / config.head().samples()));
		return new NextPositionObjective.Part(CalmNetwork::isVectorParameter, every, rows, (states, from, earlier) -> {
			int count = (int) states.shape().get(0);
			Posterior target = new Posterior(NextPositionObjective.rows(tf, posterior.mean(), from, count),
					NextPositionObjective.rows(tf, posterior.logDeviation(), from, count));
			return calm.vectorLoss(states, target, NextPositionObjective.rows(tf, next, from, count),
					draws.after(earlier));
		});
	}

	/** The largest number that divides both. */
	private static int every(int wanted, int batch) {
		return (batch == 0) ? wanted : every(batch, wanted % batch);
	}

}

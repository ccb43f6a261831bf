package io.calm.evaluation;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

import io.calm.graph.Draws;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelConfigs;
import io.calm.model.Rollout;
import io.calm.text.TokenBatch;
import io.calm.text.TokenStore;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * BrierLM of a CALM language model on text (section 5 of the paper): two continuations
 * are drawn after every patch of the text, and the first four tokens of each are compared
 * with the truth and with each other. Patches of fewer tokens are rolled out: what was
 * drawn first is appended, after every patch of a block at once, until there are four
 * tokens; see {@link Brier#add(int, int[], int[], int[], int)}.
 * <p>
 * Of a prompt with its answer, only the patches of the answer are scored. An answer may
 * be shorter than four tokens: behind its EOS it goes on with PAD, and so do the draws
 * behind theirs.
 *
 * @param patches P, the length of the blocks, which shifts the score: report it with it
 * @param batch blocks per native call
 * @param limit the greatest number of positions scored; 0 for all
 * @param seed of the draws
 */
public record BrierScoring(int patches, int batch, long limit, long seed) implements Scoring<BrierScore> {

	private static final int DRAWS = 2;

	@Override
	public BrierScore score(Path directory, TokenStore data, ProgramOptions options) {
		Brier brier = new Brier();
		estimate(directory, data, options, brier::add);
		return brier.score();
	}

	/** Tells the estimates of each position. */
	void estimate(Path directory, TokenStore data, ProgramOptions options, Estimates estimates) {
		BlockProgram.run(directory, data, options, this.patches, this.batch,
				(network, model, weights) -> new CalmNetwork(network, ModelConfigs.calm(model, weights),
						ModelConfigs.autoencoderOf(model, weights)),
				(builder, network) -> program(builder, network, data, estimates));
	}

	private BlockProgram program(ProgramBuilder builder, CalmNetwork network, TokenStore data, Estimates estimates) {
		CalmConfig config = network.config();
		Input<TInt32, int[]> tokens = builder.ints((long) this.batch * this.patches, config.patchSize());
		Input<TInt32, int[]> documents = builder.ints(this.batch, this.patches);
		Input<TInt64, long[]> draw = builder.seed();
		List<Fetch<int[]>> drawn = rollOut(builder.network().tf(), network, tokens.value(), documents.value(),
				draw.value());
		Ending ending = new Ending(config.eosId(), config.padId());
		AtomicLong left = new AtomicLong((this.limit == 0) ? Long.MAX_VALUE : this.limit);
		return new BlockProgram(config.patchSize(), config.padId(),
				builder.entryPoint().fetching(drawn.toArray(Fetch<?>[]::new)),
				(call, blocks, number) -> call.feed(tokens, blocks.tokens())
					.feed(documents, blocks.documents())
					.feed(draw, new long[] { this.seed, number }),
				(call, blocks) -> left.addAndGet(
						-add(estimates, blocks, data, drawn.stream().map(call::get).toList(), ending, left.get())) > 0);
	}

	/**
	 * Draws two patches after every patch, appends the first of them, and so on until
	 * they have four tokens.
	 * @return each {@code [B·P·2, K]}
	 */
	private static List<Fetch<int[]>> rollOut(Ops tf, CalmNetwork network, Operand<TInt32> tokens,
			Operand<TInt32> documents, Operand<TInt64> seed) {
		Draws draws = new Draws(tf, seed);
		Rollout rollout = network.rollout(tokens, documents);
		int size = network.config().patchSize();
		List<Fetch<int[]>> drawn = new ArrayList<>();
		Operand<TFloat32> states = rollout.states();
		Operand<TInt32> path = tokens;
		int patches = (int) tokens.shape().get(0);
		for (int length = 0; length < BrierScore.LENGTH; length += size) {
			if (!drawn.isEmpty()) {
				states = rollout.proceed(path);
			}
			Operand<TInt32> pairs = network.draw(states, DRAWS, draws);
			drawn.add(Fetch.ints(pairs));
			Operand<TInt32> sideBySide = tf.reshape(pairs, tf.constant(new int[] { -1, DRAWS * size }));
			path = tf.slice(sideBySide, tf.constant(new int[] { 0, 0 }), tf.constant(new int[] { patches, size }));
		}
		return drawn;
	}

	/**
	 * Compares the draws after each patch with what really follows it.
	 */
	private long add(Estimates estimates, TokenBatch block, TokenStore data, List<int[]> drawn, Ending ending,
			long limit) {
		int size = block.patchSize();
		long scored = 0;
		for (int i = 0; i < block.documents().length && scored < limit; i++) {
			boolean follows = (i + 1) % block.patches() != 0 && block.documents()[i] != 0
					&& block.documents()[i] == block.documents()[i + 1] && block.counted()[i + 1] == 1;
			if (!follows) {
				continue;
			}
			int source = block.sources()[i + 1];
			boolean answer = data.given(source) > 0;
			int[] truth = truth(block, i, answer, ending);
			if (truth.length == BrierScore.LENGTH) {
				int[] first = path(drawn, i * DRAWS, size);
				int[] second = path(drawn, i * DRAWS + 1, size);
				estimates.add(source, Brier.estimate(answer ? ending.shown(first, first, size) : first,
						answer ? ending.shown(second, first, size) : second, truth, size));
				scored++;
			}
		}
		return scored;
	}

	/**
	 * The tokens behind a patch in its document, or none if there are too few. Behind the
	 * end of an answer there may be fewer: there it goes on with PAD.
	 */
	private static int[] truth(TokenBatch block, int patch, boolean answer, Ending ending) {
		int from = (patch + 1) * block.patchSize();
		int length = 0;
		while (length < BrierScore.LENGTH && from + length < block.tokens().length) {
			int at = (from + length) / block.patchSize();
			if (at / block.patches() != patch / block.patches() || block.documents()[at] != block.documents()[patch]) {
				break;
			}
			length++;
		}
		int[] truth = Arrays.copyOfRange(block.tokens(), from, from + length);
		if (answer) {
			return ending.continued(truth, BrierScore.LENGTH);
		}
		return Arrays.stream(truth).anyMatch((token) -> token == ending.padId()) ? new int[0] : truth;
	}

	/** A row of each draw, one after the other. */
	private static int[] path(List<int[]> drawn, int row, int size) {
		int[] path = new int[drawn.size() * size];
		for (int i = 0; i < drawn.size(); i++) {
			System.arraycopy(drawn.get(i), row * size, path, i * size, size);
		}
		return path;
	}

}

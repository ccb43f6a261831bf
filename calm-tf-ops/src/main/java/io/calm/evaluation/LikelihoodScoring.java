package io.calm.evaluation;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

import io.calm.graph.Call;
import io.calm.graph.Categorical;
import io.calm.graph.Draws;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Network;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.layer.CrossEntropy;
import io.calm.model.BaselineConfig;
import io.calm.model.BaselineTransformer;
import io.calm.model.ModelConfigs;
import io.calm.model.Rollout;
import io.calm.text.TokenBatch;
import io.calm.text.TokenStore;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TNumber;

/**
 * Cross entropy, perplexity and BrierLM of a baseline Transformer on text. Its BrierLM is
 * the paper's for models with likelihoods (section 5): {@code 2 Π p(y) − 1{x1 = x2 up to
 * the last token} Σ p²}, where x1 and x2 are drawn and p is the distribution of the last
 * token after them. Its expectation is that of {@link BrierScoring}, its variance
 * smaller.
 * <p>
 * The text is packed as for a CALM model of the given patch size, so that both see the
 * same text before each position that both are scored at.
 *
 * @param patches P, the length of the blocks in patches, which shifts the score
 * @param patchSize K of the CALM model to be compared with
 * @param batch blocks per native call
 * @param limit the greatest number of patch-aligned positions to score; 0 for all
 * @param seed of the draws
 */
public record LikelihoodScoring(int patches, int patchSize, int batch, long limit,
		long seed) implements Scoring<LikelihoodScore> {

	private static final int N = BrierScore.LENGTH;

	/** Refuses numbers that are out of range. */
	public LikelihoodScoring {
		if (patchSize < 1) {
			throw new InvalidInputException("patch size", "is " + patchSize, "choose a positive number");
		}
		if (patches < 2) {
			throw new InvalidInputException("block", "is " + patches + " patches", "choose at least 2");
		}
	}

	@Override
	public LikelihoodScore score(Path directory, TokenStore data, ProgramOptions options) {
		return score(directory, data, options, (document, brier) -> {
		});
	}

	/** Also tells the estimates of each patch-aligned position. */
	LikelihoodScore score(Path directory, TokenStore data, ProgramOptions options, Estimates aligned) {
		Sums sums = new Sums(new Bootstrap(1), new Brier(), new Brier(), aligned);
		BlockProgram.run(directory, data, options, this.patches, this.batch,
				(network, model, weights) -> new BaselineTransformer(network, ModelConfigs.baseline(model, weights)),
				(builder, baseline) -> program(builder, baseline, data, sums));
		return sums.score();
	}

	private BlockProgram program(ProgramBuilder builder, BaselineTransformer baseline, TokenStore data, Sums sums) {
		BaselineConfig config = baseline.config();
		int rows = this.batch * this.patches * this.patchSize;
		Input<TInt32, int[]> tokens = builder.ints(rows, 1);
		Input<TInt32, int[]> documents = builder.ints(this.batch, (long) this.patches * this.patchSize);
		Input<TInt32, int[]> next = builder.ints(rows);
		Input<TInt64, long[]> draw = builder.seed();
		Prediction prediction = Prediction.of(builder.network(), baseline,
				baseline.rollout(tokens.value(), documents.value()), next.value(),
				new Draws(builder.network().tf(), draw.value()));
		EntryPoint predict = builder.entryPoint()
			.fetching(prediction.crossEntropy())
			.fetching(prediction.squares().toArray(Fetch<?>[]::new))
			.fetching(prediction.path().toArray(Fetch<?>[]::new))
			.fetching(prediction.agreement().toArray(Fetch<?>[]::new));
		Ending ending = new Ending(config.eosId(), config.padId());
		return new BlockProgram(this.patchSize, config.padId(), predict, (call, blocks, number) -> {
			int[] following = new int[rows];
			System.arraycopy(blocks.tokens(), 1, following, 0, rows - 1);
			call.feed(tokens, blocks.tokens())
				.feed(documents, owners(blocks, config.padId()))
				.feed(next, following)
				.feed(draw, new long[] { this.seed, number });
		}, (call, blocks) -> {
			add(sums, blocks, data, owners(blocks, config.padId()), prediction.read(call), ending);
			return !full(sums);
		});
	}

	/** What is collected. */
	private record Sums(Bootstrap crossEntropy, Brier everyPosition, Brier patchAligned, Estimates aligned) {

		LikelihoodScore score() {
			double mean = this.crossEntropy.means()[0];
			double[] errors = this.crossEntropy.errors((means) -> new double[] { means[0], Math.exp(means[0]) });
			return new LikelihoodScore(mean, errors[0], Math.exp(mean), errors[1], this.crossEntropy.positions(),
					this.everyPosition.score(), this.patchAligned.score());
		}

	}

	private boolean full(Sums sums) {
		return this.limit > 0 && sums.patchAligned().positions() >= this.limit;
	}

	/** The number of the document of each token; 0 for PAD. */
	private static int[] owners(TokenBatch block, int padId) {
		int[] owners = new int[block.tokens().length];
		for (int i = 0; i < owners.length; i++) {
			owners[i] = (block.tokens()[i] == padId) ? 0 : block.documents()[i / block.patchSize()];
		}
		return owners;
	}

	/**
	 * Adds the positions of a call, the tokens behind row i of the same document in the
	 * same block.
	 */
	private void add(Sums sums, TokenBatch block, TokenStore data, int[] owners, Read read, Ending ending) {
		int length = block.patches() * block.patchSize();
		for (int i = 0; i < owners.length && !full(sums); i++) {
			int ahead = 0;
			while (ahead < N && i % length + ahead + 1 < length && owners[i] != 0
					&& owners[i + ahead + 1] == owners[i]) {
				ahead++;
			}
			if (ahead == 0 || block.counted()[(i + 1) / block.patchSize()] == 0) {
				continue;
			}
			int source = block.sources()[i / block.patchSize()];
			sums.crossEntropy().add(source, read.crossEntropy()[i]);
			boolean answer = data.given(source) > 0;
			int[] truth = Arrays.copyOfRange(block.tokens(), i + 1, i + 1 + ahead);
			if (ahead == N || (answer && ending.hasEnded(truth, ahead))) {
				double[] estimate = answer ? read.brier(i, truth, ending) : read.brier(i);
				sums.everyPosition().add(source, estimate);
				if ((i + 1) % block.patchSize() == 0) {
					sums.patchAligned().add(source, estimate);
					sums.aligned().add(source, estimate);
				}
			}
		}
	}

	/**
	 * What the model says at every row.
	 *
	 * @param crossEntropy {@code [R]}, {@code −log p(y)} of the next token
	 * @param squares {@code [R]} for each n = 1..4: {@code Σ p²} of the n-th token of the
	 * path x1
	 * @param path {@code [R]} for each n = 1..3: the n-th token of x1
	 * @param agreement {@code [R]} for each n = 1..3: 1 where the n-th tokens of x1 and
	 * x2 are the same, both drawn after the path of x1
	 */
	private record Prediction(Fetch<float[]> crossEntropy, List<Fetch<float[]>> squares, List<Fetch<int[]>> path,
			List<Fetch<float[]>> agreement) {

		static Prediction of(Network network, BaselineTransformer baseline, Rollout rollout, Operand<TInt32> next,
				Draws draws) {
			Ops tf = network.tf();
			List<Fetch<float[]>> squares = new ArrayList<>();
			List<Fetch<int[]>> path = new ArrayList<>();
			List<Fetch<float[]>> agreement = new ArrayList<>();
			Operand<TFloat32> hidden = rollout.states();
			NextToken first = NextToken.of(network, baseline, hidden, next, draws);
			NextToken step = first;
			for (int n = 1; n <= N; n++) {
				squares.add(Fetch.floats(step.squares()));
				if (n < N) {
					path.add(Fetch.ints(step.drawn()));
					agreement.add(Fetch
						.floats(tf.dtypes.cast(tf.math.equal(step.drawn(), step.drawnAgain()), TFloat32.class)));
					hidden = rollout.proceed(tf.expandDims(step.drawn(), tf.constant(1)));
					step = NextToken.of(network, baseline, hidden, next, draws);
				}
			}
			return new Prediction(Fetch.floats(first.crossEntropy()), squares, path, agreement);
		}

		Read read(Call call) {
			return new Read(call.get(this.crossEntropy), this.squares.stream().map(call::get).toList(),
					this.path.stream().map(call::get).toList(), this.agreement.stream().map(call::get).toList());
		}

	}

	/** The same as arrays. */
	private record Read(float[] crossEntropy, List<float[]> squares, List<int[]> path, List<float[]> agreement) {

		/** Brier-1..4 of the tokens behind a row. */
		double[] brier(int row) {
			return brier(row, N, N);
		}

		/** The same where the truth, and the path that was drawn, may end. */
		double[] brier(int row, int[] truth, Ending ending) {
			int[] drawn = this.path.stream().mapToInt((tokens) -> tokens[row]).toArray();
			return brier(row, ending.length(truth, N), ending.length(drawn, N));
		}

		/**
		 * Behind the end of a sequence, all is certain.
		 * @param known tokens of the truth up to its end
		 * @param path tokens of x1 up to its end
		 */
		private double[] brier(int row, int known, int path) {
			double[] estimate = new double[N];
			double likelihood = 1;
			double agreeing = 1;
			for (int n = 0; n < N; n++) {
				if (n < known) {
					likelihood *= Math.exp(-this.crossEntropy[row + n]);
				}
				estimate[n] = 2 * likelihood - agreeing * ((n < path) ? this.squares.get(n)[row] : 1);
				if (n < N - 1 && n < path) {
					agreeing *= this.agreement.get(n)[row];
				}
			}
			return estimate;
		}

	}

	/**
	 * What there is to know of the token after each row, computed for some rows at a
	 * time: of the logits nothing remains.
	 *
	 * @param crossEntropy {@code [R]}, of the given token
	 * @param squares {@code [R]}, {@code Σ p²}
	 * @param drawn {@code [R]}
	 * @param drawnAgain {@code [R]}, independent of it
	 */
	private record NextToken(Operand<TFloat32> crossEntropy, Operand<TFloat32> squares, Operand<TInt32> drawn,
			Operand<TInt32> drawnAgain) {

		static NextToken of(Network network, BaselineTransformer baseline, Operand<TFloat32> hidden,
				Operand<TInt32> next, Draws draws) {
			int count = (int) hidden.shape().get(0);
			List<NextToken> parts = new ArrayList<>();
			List<Op> previous = List.of();
			for (int from = 0; from < count; from += baseline.rowsAtOnce()) {
				int rows = Math.min(baseline.rowsAtOnce(), count - from);
				Ops tf = network.tf().withControlDependencies(previous);
				Operand<TFloat32> logits = baseline.logits(tf.slice(hidden, tf.constant(new int[] { from, 0 }),
						tf.constant(new int[] { rows, (int) hidden.shape().get(1) })));
				Operand<TInt32> given = tf.slice(next, tf.constant(new int[] { from }),
						tf.constant(new int[] { rows }));
				Operand<TFloat32> probabilities = tf.nn.softmax(logits);
				Categorical token = Categorical.of(tf, probabilities);
				NextToken part = new NextToken(CrossEntropy.of(network, logits, given),
						tf.sum(tf.math.square(probabilities), tf.constant(1)), token.draw(tf, draws.uniform(rows)),
						token.draw(tf, draws.uniform(rows)));
				parts.add(part);
				previous = List.of(part.crossEntropy(), part.squares(), part.drawn(), part.drawnAgain());
			}
			Ops tf = network.tf();
			return new NextToken(joined(tf, parts.stream().map(NextToken::crossEntropy).toList()),
					joined(tf, parts.stream().map(NextToken::squares).toList()),
					joined(tf, parts.stream().map(NextToken::drawn).toList()),
					joined(tf, parts.stream().map(NextToken::drawnAgain).toList()));
		}

		private static <T extends TNumber> Operand<T> joined(Ops tf, List<Operand<T>> parts) {
			return (parts.size() == 1) ? parts.get(0) : tf.concat(parts, tf.constant(0));
		}

	}

}

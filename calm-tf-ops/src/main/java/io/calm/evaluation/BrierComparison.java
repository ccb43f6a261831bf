package io.calm.evaluation;

import java.nio.file.Path;
import java.util.Arrays;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.ProgramOptions;
import io.calm.input.InvalidInputException;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelKind;
import io.calm.text.TokenStore;

/**
 * Which of two models has the higher BrierLM on a text, and how sure that is. Both are
 * scored at the same positions, with the same seed. What makes a passage easy makes it
 * easy for both, so the error of the difference is found by drawing documents for both at
 * once; it is mostly much smaller than that of two separate scores.
 *
 * @param first the score of the first model
 * @param second the score of the second model
 * @param difference how much more BrierLM the second one has
 * @param error the standard error of the difference; NaN when there is too little data to
 * tell
 */
public record BrierComparison(BrierScore first, BrierScore second, double difference, double error) {

	private static final int N = BrierScore.LENGTH;

	/** Standard errors that chance alone exceeds in one of twenty comparisons. */
	private static final double SURE = 2;

	/**
	 * Scores two models and compares them. Those of a baseline are taken at the positions
	 * at which a CALM model is scored.
	 * @param first the directory of a language model
	 * @param second the directory of another one with the same tokenizer and, if both are
	 * CALM models, the same patch size
	 * @param data the text
	 * @param how the text is cut and limited, and the seed
	 * @param options device and precision
	 * @return the comparison
	 * @throws InvalidInputException if one is no language model, or they cannot be
	 * compared
	 */
	public static BrierComparison of(Path first, Path second, TokenStore data, Setting how, ProgramOptions options) {
		int patchSize = patchSize(first, patchSize(second, 0));
		int other = patchSize(second, patchSize);
		if (patchSize != other) {
			throw new InvalidInputException(second.toString(),
					"has patches of " + other + " tokens, and " + first + " of " + patchSize
							+ ", so that they are scored at different positions",
					"compare models of one patch size, or each with the same baseline");
		}
		Setting setting = (patchSize == 0) ? how : how.withPatchSize(patchSize);
		Positions positions = new Positions();
		setting.estimate(first, data, options, positions);
		Pairs pairs = new Pairs(positions);
		setting.estimate(second, data, options, pairs);
		return pairs.comparison();
	}

	/** K of a CALM model, else a given number. */
	private static int patchSize(Path directory, int ofBaseline) {
		ModelDirectory model = ModelDirectory.open(directory);
		try (TensorFile weights = model.weights()) {
			return (ModelKind.of(directory, weights) == ModelKind.BASELINE) ? ofBaseline
					: ModelConfigs.calm(model, weights).patchSize();
		}
	}

	/**
	 * Whether the difference is more than its error explains: at least twice as much.
	 * @return false also if nothing is known of the error
	 */
	public boolean sure() {
		return Math.abs(this.difference) >= SURE * this.error && this.error > 0;
	}

	/**
	 * What is scored of a text.
	 *
	 * @param block tokens per block, on which the score depends
	 * @param patchSize K, where both models are baselines
	 * @param limit the greatest number of positions; 0 for all
	 * @param seed of the draws
	 */
	public record Setting(int block, int patchSize, long limit, long seed) {

		Setting withPatchSize(int patchSize) {
			return new Setting(this.block, patchSize, this.limit, this.seed);
		}

		private void estimate(Path directory, TokenStore data, ProgramOptions options, Estimates estimates) {
			int patches = Math.max(2, this.block / Math.max(1, this.patchSize));
			ModelKind kind;
			try (TensorFile weights = ModelDirectory.open(directory).weights()) {
				kind = ModelKind.of(directory, weights);
			}
			if (kind == ModelKind.BASELINE) {
				new LikelihoodScoring(patches, this.patchSize, 2, this.limit, this.seed).score(directory, data, options,
						estimates);
			}
			else {
				new BrierScoring(patches, 2, this.limit, this.seed).estimate(directory, data, options, estimates);
			}
		}

	}

	/** The estimates of one model, to be paired with those of another. */
	static final class Positions implements Estimates {

		private int[] documents = new int[1024];

		private float[] brier = new float[1024 * N];

		private int count;

		@Override
		public void add(int document, double[] brier) {
			if (this.count == this.documents.length) {
				this.documents = Arrays.copyOf(this.documents, Math.multiplyExact(2, this.count));
				this.brier = Arrays.copyOf(this.brier, Math.multiplyExact(2 * N, this.count));
			}
			this.documents[this.count] = document;
			for (int n = 0; n < N; n++) {
				this.brier[this.count * N + n] = (float) brier[n];
			}
			this.count++;
		}

	}

	/** The estimates of another model at the same positions. */
	static final class Pairs implements Estimates {

		private final Positions positions;

		private final Brier first = new Brier();

		private final Brier second = new Brier();

		private final Bootstrap both = new Bootstrap(2 * N);

		private int count;

		Pairs(Positions positions) {
			this.positions = positions;
		}

		@Override
		public void add(int document, double[] brier) {
			if (this.count >= this.positions.count || this.positions.documents[this.count] != document) {
				throw new IllegalStateException("The models are not scored at the same positions");
			}
			double[] estimates = new double[2 * N];
			for (int n = 0; n < N; n++) {
				estimates[n] = this.positions.brier[this.count * N + n];
				estimates[N + n] = brier[n];
			}
			this.first.add(document, Arrays.copyOf(estimates, N));
			this.second.add(document, brier);
			this.both.add(document, estimates);
			this.count++;
		}

		BrierComparison comparison() {
			if (this.count != this.positions.count) {
				throw new IllegalStateException("The models are not scored at the same positions");
			}
			double error = this.both.errors((means) -> new double[] { difference(means) })[0];
			return new BrierComparison(this.first.score(), this.second.score(), difference(this.both.means()), error);
		}

		private static double difference(double[] means) {
			return BrierScore.brierLm(Arrays.copyOfRange(means, N, 2 * N))
					- BrierScore.brierLm(Arrays.copyOf(means, N));
		}

	}

}

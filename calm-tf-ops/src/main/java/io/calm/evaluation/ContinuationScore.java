package io.calm.evaluation;

import java.util.List;
import java.util.stream.IntStream;

/**
 * How well a text fits what a model would have written after a prompt. Higher is better,
 * and scores can be compared if prompt, model and settings are the same.
 *
 * @param patches the text, patch by patch
 */
public record ContinuationScore(List<Patch> patches) {

	/**
	 * A patch of the text.
	 *
	 * @param text of the patch; a character that lies in two patches is in neither
	 * @param energy the energy score of the model's draws against draws of the true
	 * patch's posterior, at most 0 on average: the spread of the draws less twice their
	 * distance to the truth. Not to be compared between models with different
	 * autoencoders
	 * @param brier Brier-1 to Brier-4, or to Brier-K if K is smaller: twice the share of
	 * draws that begin with the same n tokens, less the share of pairs of draws that
	 * agree in theirs; -1 to 1
	 * @param share of the model's draws that are this very patch, 0 to 1
	 */
	public record Patch(String text, double energy, List<Double> brier, double share) {
	}

	/**
	 * The mean energy score of the patches.
	 * @return NaN if there are none
	 */
	public double energy() {
		return this.patches.stream().mapToDouble(Patch::energy).average().orElse(Double.NaN);
	}

	/**
	 * The mean of each Brier-n over the patches.
	 * @return Brier-1 to Brier-4, or to Brier-K if K is smaller; empty if there are no
	 * patches
	 */
	public List<Double> brier() {
		int most = this.patches.isEmpty() ? 0 : this.patches.get(0).brier().size();
		return IntStream.range(0, most)
			.mapToObj((n) -> this.patches.stream().mapToDouble((patch) -> patch.brier().get(n)).average().orElseThrow())
			.toList();
	}

}

package io.calm.cli.sweep;

import java.util.Comparator;
import java.util.Map;

import io.calm.training.Evaluation;
import org.jspecify.annotations.Nullable;

/**
 * How a trial stood at the end of a rung.
 *
 * @param step after which it was scored
 * @param seconds that the rung took, in this process
 * @param ended when, in milliseconds since 1970
 * @param scores by name
 * @param failure why it cannot go on; null if it can
 */
record Outcome(long step, double seconds, long ended, Map<String, Double> scores, @Nullable String failure) {

	/**
	 * The best one first: see {@link Evaluation#quality}; those that have failed last.
	 */
	static final Comparator<Outcome> BEST_FIRST = Comparator.comparingDouble(Outcome::quality).reversed();

	private double quality() {
		double quality = Evaluation.NONE.quality(this.scores);
		return (this.failure != null || Double.isNaN(quality)) ? Double.NEGATIVE_INFINITY : quality;
	}

	double score(String name) {
		return this.scores.getOrDefault(name, Double.NaN);
	}

}

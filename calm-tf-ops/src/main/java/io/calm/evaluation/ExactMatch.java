package io.calm.evaluation;

import java.util.Locale;

/**
 * How many answers of a model are those of a corpus of prompts and answers, word for
 * word. White space before and behind an answer does not count.
 *
 * @param share of the answers that are the same, from 0 to 1
 * @param error its standard error
 * @param answers how many were compared
 * @see ExactMatchScoring
 */
public record ExactMatch(double share, double error, long answers) {

	@Override
	public String toString() {
		return String.format(Locale.ROOT, "exact match %.1f %% ± %.1f, %d answers", 100 * this.share, 100 * this.error,
				this.answers);
	}

}

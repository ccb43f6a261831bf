package io.calm.evaluation;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;

/**
 * Brier-1..4 and BrierLM of a model on a text, with their Monte-Carlo errors. Higher is
 * better: Brier-n lies in [-1, 1], BrierLM in [0, 100]. Two records are equal only when
 * they share their arrays.
 *
 * @param brier Brier-1..4, each the mean over positions
 * @param brierLm {@code 100 (Brier-1 Brier-2 Brier-3 Brier-4)^(1/4)}, or 0 when one of
 * them is not positive
 * @param error the standard error of {@code brierLm}; NaN when there is too little data
 * to tell. Where the score is clipped to 0 so are the bootstrap replicates, and the error
 * is too small: look at {@code brierErrors} then
 * @param brierErrors the standard errors of Brier-1..4
 * @param positions over how many positions the means were taken
 * @see Brier
 */
public record BrierScore(double[] brier, double brierLm, double error, double[] brierErrors, long positions) {

	/**
	 * The greatest n of Brier-n, and the number of factors of BrierLM.
	 */
	public static final int LENGTH = 4;

	/** The name of BrierLM among scores. */
	public static final String BRIER_LM = "brier_lm";

	/**
	 * BrierLM of given Brier-1..4. The paper and its reference implementation clip the
	 * <em>product</em>, so that two negative factors make a positive score; here any
	 * factor that is not positive makes the score 0: such a model is no better than one
	 * that spreads its guesses over an endless vocabulary.
	 * @param brier Brier-1..4, {@link #LENGTH} of them
	 * @return the score, 0 to 100
	 */
	public static double brierLm(double... brier) {
		double product = 1;
		for (double value : brier) {
			if (value <= 0) {
				return 0;
			}
			product *= value;
		}
		return 100 * Math.pow(product, 1.0 / LENGTH);
	}

	/**
	 * The scores by the names that trainings and MLflow have for them.
	 * @return {@code brier_lm}, {@code brier_lm_error}, and {@code brier_1} to
	 * {@code brier_4}
	 */
	public Map<String, Double> byName() {
		Map<String, Double> scores = new LinkedHashMap<>();
		scores.put(BRIER_LM, this.brierLm);
		scores.put(BRIER_LM + "_error", this.error);
		for (int n = 1; n <= LENGTH; n++) {
			scores.put("brier_" + n, this.brier[n - 1]);
		}
		return scores;
	}

	@Override
	public String toString() {
		return String.format(Locale.ROOT, "BrierLM %.2f ± %.2f, Brier-1..4 %s, %d positions", this.brierLm, this.error,
				Arrays.toString(this.brier), this.positions);
	}

}

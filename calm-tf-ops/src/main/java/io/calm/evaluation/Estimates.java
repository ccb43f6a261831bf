package io.calm.evaluation;

/** Takes the Brier-1..4 of a model, position by position in the order of the text. */
@FunctionalInterface
interface Estimates {

	/**
	 * Takes a position.
	 * @param document which document it belongs to
	 * @param brier estimates of Brier-1..4
	 */
	void add(int document, double[] brier);

}

package io.calm.cli.sweep;

/**
 * A trial and how far it came.
 *
 * @param entrant the trial
 * @param rung the last one that it was in, from 0
 * @param outcome of that rung
 * @param seconds of all its rungs
 */
record Standing(Entrant entrant, int rung, Outcome outcome, double seconds) {

	double operations() {
		return this.entrant.flopsPerStep() * this.outcome.step();
	}

}

package io.calm.cli;

import io.calm.generation.GenerationRequest;
import picocli.CommandLine.Option;

/** How patches are chosen. */
final class SamplingOptions {

	@Option(names = "--temperature", defaultValue = "1",
			description = "Temperature in (0, 1], or in [0, 2] for a baseline. Lower temperatures give likelier texts. "
					+ "Begin with 0.5: at 1, small models write word salad (default: ${DEFAULT-VALUE}).")
	private double temperature;

	@Option(names = "--candidates", defaultValue = "200",
			description = "N, the number of draws per patch from which one is chosen. A baseline does not need them "
					+ "(default: ${DEFAULT-VALUE}).")
	private int candidates;

	@Option(names = "--top-k",
			description = "Choose only among this number of the most frequent candidates, or of the most likely tokens "
					+ "(default: all).")
	private int topK = Integer.MAX_VALUE;

	@Option(names = "--top-p", defaultValue = "1",
			description = "For a baseline: choose among the fewest most likely tokens whose probabilities add up to "
					+ "this (default: ${DEFAULT-VALUE}).")
	private double topP;

	@Option(names = "--exact",
			description = "Sample exactly instead of from candidates, with as many draws as that takes.")
	private boolean exact;

	GenerationRequest.Builder applyTo(GenerationRequest.Builder request) {
		return request.temperature(this.temperature)
			.candidates(this.candidates)
			.topK(this.topK)
			.topP(this.topP)
			.exact(this.exact);
	}

}

package io.calm.cli;

import io.calm.generation.GenerationRequest;
import picocli.CommandLine.Option;

/** How patches are chosen. */
final class SamplingOptions {

	@Option(names = "--temperature", defaultValue = "1",
			description = "Temperature in (0, 1], for a baseline in [0, 2]. The lower, the likelier the text. Begin "
					+ "with 0.5: at 1, small models write word salad (default: ${DEFAULT-VALUE}).")
	private double temperature;

	@Option(names = "--candidates", defaultValue = "200",
			description = "N, draws per patch of which one is chosen. A baseline does not need them (default: "
					+ "${DEFAULT-VALUE}).")
	private int candidates;

	@Option(names = "--top-k",
			description = "Choose only among this number of most frequent candidates, or most likely tokens (default: "
					+ "all).")
	private int topK = Integer.MAX_VALUE;

	@Option(names = "--top-p", defaultValue = "1",
			description = "For a baseline: choose among the fewest most likely tokens that have this probability "
					+ "together (default: ${DEFAULT-VALUE}).")
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

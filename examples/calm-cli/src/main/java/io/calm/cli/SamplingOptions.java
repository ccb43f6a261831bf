package io.calm.cli;

import io.calm.generation.GenerationRequest;
import picocli.CommandLine.Option;

/** How patches are chosen. */
final class SamplingOptions {

	@Option(names = "--temperature", defaultValue = "1",
			description = "In (0, 1], for a baseline in [0, 2]; the lower, the likelier the text; begin with 0.5, for at 1"
					+ " small models write word salad (default: ${DEFAULT-VALUE}).")
	private double temperature;

	@Option(names = "--candidates", defaultValue = "200",
			description = "N, draws per patch of which one is chosen; a baseline needs none"
					+ " (default: ${DEFAULT-VALUE}).")
	private int candidates;

	@Option(names = "--top-k",
			description = "Choose among the most frequent candidates, or the most likely tokens, only (default: all).")
	private int topK = Integer.MAX_VALUE;

	@Option(names = "--top-p", defaultValue = "1",
			description = "Of a baseline: choose among the fewest most likely tokens of this probability"
					+ " (default: ${DEFAULT-VALUE}).")
	private double topP;

	@Option(names = "--exact", description = "Sample exactly instead of from candidates: as many draws as that takes.")
	private boolean exact;

	GenerationRequest.Builder applyTo(GenerationRequest.Builder request) {
		return request.temperature(this.temperature)
			.candidates(this.candidates)
			.topK(this.topK)
			.topP(this.topP)
			.exact(this.exact);
	}

}

package io.calm.cli;

import io.calm.generation.GenerationRequest;
import picocli.CommandLine.Option;

/** How patches are chosen. */
final class SamplingOptions {

	@Option(names = "--temperature", defaultValue = "1",
			description = "In (0, 1]; the lower, the likelier the text (default: ${DEFAULT-VALUE}).")
	private double temperature;

	@Option(names = "--candidates", defaultValue = "200",
			description = "N, draws per patch of which one is chosen (default: ${DEFAULT-VALUE}).")
	private int candidates;

	@Option(names = "--top-k", description = "Choose among the most frequent candidates only (default: all).")
	private int topK = Integer.MAX_VALUE;

	@Option(names = "--exact", description = "Sample exactly instead of from candidates: as many draws as that takes.")
	private boolean exact;

	GenerationRequest.Builder applyTo(GenerationRequest.Builder request) {
		return request.temperature(this.temperature).candidates(this.candidates).topK(this.topK).exact(this.exact);
	}

}

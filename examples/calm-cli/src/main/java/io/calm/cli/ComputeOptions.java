package io.calm.cli;

import io.calm.graph.Device;
import io.calm.graph.Precision;
import io.calm.graph.ProgramOptions;
import picocli.CommandLine.Option;

/** The options of everything that computes. */
final class ComputeOptions {

	@Option(names = "--device", defaultValue = "auto", description = "auto, cpu or gpu (default: ${DEFAULT-VALUE}).")
	private Device device = Device.AUTO;

	@Option(names = "--precision", defaultValue = "fp32",
			description = "fp32, or bf16 for matrix products in bfloat16 (default: ${DEFAULT-VALUE}).")
	private Precision precision = Precision.FP32;

	@Option(names = "--no-fusion",
			description = "Do not compile element-wise work with XLA: slower, but starts at once.")
	private boolean noFusion;

	ProgramOptions training() {
		return new ProgramOptions(this.device, this.precision, !this.noFusion);
	}

	ProgramOptions inference() {
		return new ProgramOptions(this.device, this.precision, false);
	}

}

package io.calm.cli;

import io.calm.graph.Device;
import io.calm.graph.Precision;
import io.calm.graph.ProgramOptions;
import picocli.CommandLine.Option;

/** The options of everything that computes. */
final class ComputeOptions {

	@Option(names = "--device", defaultValue = "auto",
			description = "Device: auto, cpu or gpu (default: ${DEFAULT-VALUE}).")
	private Device device = Device.AUTO;

	@Option(names = "--precision", defaultValue = "auto",
			description = "Number format of matrix products: fp32, bf16, or auto, which is bf16 if texts are generated "
					+ "on a CPU with instructions for it, otherwise fp32 (default: ${DEFAULT-VALUE}).")
	private Precision precision = Precision.AUTO;

	@Option(names = "--no-fusion",
			description = "Do not compile element-wise work with XLA: slower, but starts at once.")
	private boolean noFusion;

	ProgramOptions training() {
		return evaluation().withFusion(!this.noFusion);
	}

	ProgramOptions evaluation() {
		return generation().withPrecision((this.precision == Precision.AUTO) ? Precision.FP32 : this.precision);
	}

	ProgramOptions generation() {
		return new ProgramOptions(this.device, this.precision, false);
	}

}

package io.calm.graph;

/**
 * How a program computes.
 *
 * @param device where
 * @param precision of matrix products
 * @param fused whether XLA compiles the element-wise work between matrix products: much
 * faster, for some seconds of compilation at the first call of each entry point
 */
public record ProgramOptions(Device device, Precision precision, boolean fused) {

	/** fp32 on the device at hand, without compilation. */
	public static final ProgramOptions DEFAULT = new ProgramOptions(Device.AUTO, Precision.FP32, false);

	/**
	 * The same on another device.
	 * @param device where
	 * @return new options
	 */
	public ProgramOptions withDevice(Device device) {
		return new ProgramOptions(device, this.precision, this.fused);
	}

	/**
	 * The same in another precision.
	 * @param precision of matrix products
	 * @return new options
	 */
	public ProgramOptions withPrecision(Precision precision) {
		return new ProgramOptions(this.device, precision, this.fused);
	}

	/**
	 * The same with or without compilation.
	 * @param fused whether XLA compiles element-wise work
	 * @return new options
	 */
	public ProgramOptions withFusion(boolean fused) {
		return new ProgramOptions(this.device, this.precision, fused);
	}

}

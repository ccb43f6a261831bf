package io.calm.graph;

/**
 * The number format of matrix products. Weights, their updates, norms and losses are fp32
 * in all.
 */
public enum Precision {

	/** Matrix products in fp32. */
	FP32,
	/**
	 * Matrix products of operands rounded to bfloat16: about twice as fast on a CPU with
	 * AVX-512 BF16 or AMX and on GPUs since Ampere, slower on others.
	 */
	BF16,
	/**
	 * bf16 on a CPU that is known to have instructions for it, as Linux tells, otherwise
	 * fp32.
	 */
	AUTO;

	/**
	 * Decides on this machine.
	 * @param device CPU or GPU
	 * @return {@link #FP32} or {@link #BF16}
	 */
	Precision resolve(Device device) {
		if (this == AUTO) {
			return (device == Device.CPU && NativeRuntime.bfloat16().orElse(false)) ? BF16 : FP32;
		}
		return this;
	}

}

package io.calm.graph;

/**
 * The number format of matrix products. Weights, their updates, norms and losses are fp32
 * in both.
 */
public enum Precision {

	/** Matrix products in fp32. */
	FP32,
	/**
	 * Matrix products of operands rounded to bfloat16: about twice as fast on a CPU with
	 * AVX-512 BF16 or AMX and on GPUs since Ampere, slower on others.
	 */
	BF16

}

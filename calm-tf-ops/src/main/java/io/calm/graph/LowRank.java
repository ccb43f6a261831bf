package io.calm.graph;

import java.util.regex.Pattern;

import io.calm.input.InvalidInputException;

/**
 * Low-rank adaptation of a backbone (LoRA, Hu et al., arXiv 2106.09685): each of its
 * linear maps W {@code [out, in]} stays as it is, and {@code W·x + α/r·B·A·x} takes its
 * place, where A is {@code [r, in]} and B {@code [out, r]}. Only A and B learn.
 *
 * @param rank r
 * @param alpha α, how much the product counts
 */
public record LowRank(int rank, double alpha) {

	/** What the name of A ends with, behind that of the map. */
	public static final String DOWN = ".lora_A.weight";

	/** What the name of B ends with, behind that of the map. */
	public static final String UP = ".lora_B.weight";

	private static final String WEIGHT = ".weight";

	/** The linear maps of attention and feed-forward network, in CALM and in a Llama. */
	private static final Pattern MAPS = Pattern
		.compile("(transformer|model)\\.layers\\.\\d+\\.(self_attn|mlp)\\.[a-z]+_proj");

	/** Refuses numbers that are out of range. */
	public LowRank {
		if (rank < 1) {
			throw new InvalidInputException("LoRA, rank", "is " + rank, "choose at least 1, such as 8");
		}
		if (!(alpha > 0 && alpha < Double.POSITIVE_INFINITY)) {
			throw new InvalidInputException("LoRA, alpha", "is " + alpha, "choose a positive number, such as 16");
		}
	}

	/**
	 * What the product of B and A is multiplied with.
	 * @return α/r
	 */
	public double scale() {
		return this.alpha / this.rank;
	}

	/**
	 * Whether a matrix of weights gets an adaptation.
	 * @param weight the name of a variable
	 * @return true for the linear maps of a backbone
	 */
	public static boolean adapts(String weight) {
		return weight.endsWith(WEIGHT) && MAPS.matcher(map(weight)).matches();
	}

	/**
	 * The linear map that weights belong to.
	 * @param weight the name of a variable, which ends with {@code .weight}
	 * @return the name without that
	 */
	public static String map(String weight) {
		return weight.substring(0, weight.length() - WEIGHT.length());
	}

	/**
	 * Whether a variable is a part of an adaptation.
	 * @param name of the variable
	 * @return true for A and B
	 */
	public static boolean isParameter(String name) {
		return name.endsWith(DOWN) || name.endsWith(UP);
	}

}

package io.calm.layer;

import java.util.HashMap;
import java.util.Map;

import io.calm.graph.Initializer;
import io.calm.graph.LowRank;
import io.calm.graph.Network;
import io.calm.graph.Variable;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;

/**
 * The affine map {@code x·Wᵀ + b} with {@code W [out, in]}.
 */
public final class Linear {

	private final Network network;

	private final Variable weight;

	private final @Nullable Variable bias;

	/** Null for a map that learns itself. */
	private final @Nullable LowRankMap adaptation;

	/** Sliced once, however often it is used. */
	private final Map<Long, Operand<TFloat32>> columns = new HashMap<>();

	private Linear(Network network, Variable weight, @Nullable Variable bias) {
		this.network = network;
		this.weight = weight;
		this.bias = bias;
		LowRank lowRank = network.lowRank();
		this.adaptation = (lowRank != null && LowRank.adapts(weight.name())) ? new LowRankMap(network, lowRank, weight)
				: null;
		network.usedInProductsOnly(weight);
	}

	/**
	 * A map with a bias that begins at zero. The weights are uniform in ±√(6/(in + out)),
	 * which keeps the size of values and of gradients (Glorot and Bengio, 2010).
	 * @param network where to build it
	 * @param name the parameters' prefix
	 * @param in columns of the input
	 * @param out columns of the output
	 * @return the layer
	 */
	public static Linear withBias(Network network, String name, long in, long out) {
		return withBias(network, name, in, out, Initializer.uniform(Math.sqrt(6.0 / (in + out))));
	}

	/**
	 * A map with a bias that begins at zero.
	 * @param network where to build it
	 * @param name the parameters' prefix
	 * @param in columns of the input
	 * @param out columns of the output
	 * @param initializer draws the weights
	 * @return the layer
	 */
	public static Linear withBias(Network network, String name, long in, long out, Initializer initializer) {
		return new Linear(network, network.variables().declare(name + ".weight", initializer, out, in),
				network.variables().declare(name + ".bias", Initializer.ZEROS, out));
	}

	/**
	 * A map without bias, drawn from a normal distribution as in Llama.
	 * @param network where to build it
	 * @param name the parameter's prefix
	 * @param in columns of the input
	 * @param out columns of the output
	 * @param deviation the standard deviation of the first weights
	 * @return the layer
	 */
	public static Linear withoutBias(Network network, String name, long in, long out, double deviation) {
		return new Linear(network,
				network.variables().declare(name + ".weight", Initializer.normal(deviation), out, in), null);
	}

	/**
	 * A map without bias, drawn from a normal distribution that keeps the size of values:
	 * its standard deviation is 1/√in.
	 * @param network where to build it
	 * @param name the parameter's prefix
	 * @param in columns of the input
	 * @param out columns of the output
	 * @return the layer
	 */
	public static Linear withoutBias(Network network, String name, long in, long out) {
		return withoutBias(network, name, in, out, 1 / Math.sqrt(in));
	}

	/**
	 * Applies the map to rows.
	 * @param x {@code [rows, in]}
	 * @return {@code [rows, out]}
	 */
	public Operand<TFloat32> apply(Operand<TFloat32> x) {
		Operand<TFloat32> mapped = biased(this.network.matMulTransposed(x, this.weight.value()));
		return (this.adaptation != null) ? this.network.tf().math.add(mapped, this.adaptation.apply(x)) : mapped;
	}

	/**
	 * Applies the columns {@code [from, from + size)} of {@code W} to rows, without the
	 * bias: one term of a map whose input is a concatenation. Terms do not overlap.
	 * @param x {@code [rows, size]}
	 * @param from the first column of {@code W}
	 * @param size how many
	 * @return {@code [rows, out]}
	 */
	public Operand<TFloat32> applyColumns(Operand<TFloat32> x, long from, long size) {
		return this.network.matMulTransposed(x, this.columns.computeIfAbsent(from,
				(first) -> this.network.keptIfFp32(this.network.columns(this.weight.value(), first, size))));
	}

	/**
	 * Adds the bias, if there is one.
	 * @param x {@code [..., out]}
	 * @return the same shape
	 */
	public Operand<TFloat32> biased(Operand<TFloat32> x) {
		return (this.bias != null) ? this.network.tf().math.add(x, this.bias.value()) : x;
	}

}

package io.calm.layer;

import io.calm.graph.Network;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;

/**
 * The gated feed-forward network of Llama: {@code down(SiLU(gate(x)) · up(x))}, without
 * biases.
 */
public final class SwiGlu {

	private final Network network;

	private final Linear gate;

	private final Linear up;

	private final Linear down;

	/**
	 * Declares the three maps.
	 * @param network where to build it
	 * @param name the parameters' prefix
	 * @param size columns of input and output
	 * @param inner columns of the gated layer
	 * @param deviation of the first weights
	 */
	public SwiGlu(Network network, String name, long size, long inner, double deviation) {
		this.network = network;
		this.gate = Linear.withoutBias(network, name + ".gate_proj", size, inner, deviation);
		this.up = Linear.withoutBias(network, name + ".up_proj", size, inner, deviation);
		this.down = Linear.withoutBias(network, name + ".down_proj", inner, size, deviation);
	}

	/**
	 * Applies it to rows.
	 * @param x {@code [rows, size]}
	 * @return {@code [rows, size]}
	 */
	public Operand<TFloat32> apply(Operand<TFloat32> x) {
		Operand<TFloat32> gated = this.network.silu(this.gate.apply(x));
		return this.down.apply(this.network.tf().math.mul(gated, this.up.apply(x)));
	}

}

package io.calm.layer;

import io.calm.graph.Initializer;
import io.calm.graph.LowRank;
import io.calm.graph.Network;
import io.calm.graph.Variable;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;

/**
 * What low-rank adaptation adds to a linear map: {@code α/r·B·A·x}. It begins at zero.
 */
final class LowRankMap {

	private final Network network;

	private final Variable down;

	private final Variable up;

	private final double scale;

	/**
	 * Declares A and B.
	 * @param adaptation rank and scale
	 * @param weight of the map that stays as it is, {@code [out, in]}
	 */
	LowRankMap(Network network, LowRank adaptation, Variable weight) {
		long out = weight.shape()[0];
		long in = weight.shape()[1];
		String name = LowRank.map(weight.name());
		this.network = network;
		this.down = network.variables()
			.declare(name + LowRank.DOWN, Initializer.uniform(1 / Math.sqrt(in)), adaptation.rank(), in);
		this.up = network.variables().declare(name + LowRank.UP, Initializer.ZEROS, out, adaptation.rank());
		this.scale = adaptation.scale();
	}

	/** {@code [rows, in]} to {@code [rows, out]}. */
	Operand<TFloat32> apply(Operand<TFloat32> x) {
		Operand<TFloat32> inner = this.network.matMulTransposed(x, this.down.value());
		Operand<TFloat32> scaled = this.network.tf().math.mul(inner, this.network.tf().constant((float) this.scale));
		return this.network.matMulTransposed(scaled, this.up.value());
	}

}

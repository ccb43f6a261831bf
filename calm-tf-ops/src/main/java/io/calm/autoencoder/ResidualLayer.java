package io.calm.autoencoder;

import io.calm.graph.Network;
import io.calm.layer.RmsNorm;
import io.calm.layer.SwiGlu;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;

/** {@code x + SwiGLU(RMSNorm(x))}. */
final class ResidualLayer {

	private final Network network;

	private final RmsNorm norm;

	private final SwiGlu mlp;

	ResidualLayer(Network network, String name, AutoencoderConfig config) {
		this.network = network;
		this.norm = new RmsNorm(network, name + ".layernorm", config.hiddenSize(), config.normEpsilon());
		this.mlp = new SwiGlu(network, name + ".mlp", config.hiddenSize(), config.intermediateSize(),
				config.initializerRange());
	}

	Operand<TFloat32> apply(Operand<TFloat32> x) {
		return this.network.tf().math.add(x, this.mlp.apply(this.norm.apply(x)));
	}

}

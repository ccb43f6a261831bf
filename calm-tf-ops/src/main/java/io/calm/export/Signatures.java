package io.calm.export;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

import io.calm.autoencoder.Autoencoder;
import io.calm.autoencoder.AutoencoderConfig;
import io.calm.autoencoder.Posterior;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Draws;
import io.calm.graph.Network;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.Signature;
import io.calm.layer.NoPast;
import io.calm.model.BaselineConfig;
import io.calm.model.BaselineTransformer;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelKind;
import io.calm.model.PatchNoise;
import org.tensorflow.Operand;
import org.tensorflow.ndarray.Shape;
import org.tensorflow.op.Ops;
import org.tensorflow.op.core.Placeholder;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;
import org.tensorflow.types.family.TType;

/**
 * What SavedModels offer: whole texts of any number and length. The tables of positions
 * are part of the graph, so texts have a greatest length.
 */
final class Signatures {

	/** Positions, in case a configuration says more. */
	private static final int LONGEST = 8192;

	private final Network network;

	private final Ops tf;

	private Signatures(Network network) {
		this.network = network;
		this.tf = network.tf();
	}

	static List<Signature> of(ProgramBuilder builder, ModelDirectory model, TensorFile weights) {
		Signatures signatures = new Signatures(builder.network());
		return switch (ModelKind.of(model.path(), weights)) {
			case AUTOENCODER -> signatures.ofAutoencoder("", ModelConfigs.autoencoder(model));
			case BASELINE -> List.of(signatures.nextTokens(ModelConfigs.baseline(model, weights)));
			case ENERGY, FLOW, DIFFUSION -> {
				AutoencoderConfig autoencoder = ModelConfigs.autoencoderOf(model, weights);
				List<Signature> all = new ArrayList<>(signatures.ofAutoencoder(CalmNetwork.AUTOENCODER, autoencoder));
				CalmConfig config = ModelConfigs.calm(model, weights);
				CalmNetwork calm = new CalmNetwork(signatures.network, config, autoencoder);
				all.addAll(signatures.nextPatches(calm));
				yield all;
			}
		};
	}

	private List<Signature> ofAutoencoder(String prefix, AutoencoderConfig config) {
		Autoencoder autoencoder = new Autoencoder(this.network, prefix, config);
		int latent = config.latentSize();
		Operand<TInt32> tokens = ints(-1, -1);
		Posterior posterior = autoencoder.encode(patches(tokens, config.patchSize()));
		Operand<TFloat32> latents = this.tf.placeholder(TFloat32.class, Placeholder.shape(Shape.of(-1, -1, latent)));
		Operand<TInt32> decoded = autoencoder.decodeTokens(this.network.reshape(latents, -1, latent));
		return List.of(
				new Signature("encode", Map.of("tokens", tokens),
						named("mean", perText(posterior.mean(), tokens, -1, latent), "log_deviation",
								perText(posterior.logDeviation(), tokens, -1, latent))),
				new Signature("decode", Map.of("latents", latents), Map.of("tokens", perText(decoded, latents, -1))));
	}

	private Signature nextTokens(BaselineConfig config) {
		BaselineTransformer baseline = new BaselineTransformer(this.network, config);
		Operand<TInt32> tokens = ints(-1, -1);
		NoPast past = NoPast.of(this.tf, tokens, 1, longest(config.backbone().positions()));
		Operand<TFloat32> hidden = lastOfEach(baseline.hiddenStates(patches(tokens, 1), past), past,
				config.backbone().hiddenSize());
		return new Signature("next_tokens", Map.of("tokens", tokens), Map.of("logits", baseline.logits(hidden)));
	}

	/** Both continue the same texts, so that the graph has the network once. */
	private List<Signature> nextPatches(CalmNetwork calm) {
		Operand<TInt32> tokens = ints(-1, -1);
		int patchSize = calm.config().patchSize();
		NoPast past = NoPast.of(this.tf, tokens, patchSize, longest(calm.config().backbone().positions()));
		Operand<TFloat32> states = lastOfEach(calm.states(patches(tokens, patchSize), past), past, calm.stateSize());

		PatchNoise parts = calm.config().noise();
		Operand<TFloat32> noise = this.tf.placeholder(TFloat32.class,
				Placeholder.shape(Shape.of(-1, -1, parts.size())));
		Operand<TInt32> rows = this.tf.gather(this.tf.shape(noise), this.tf.constant(1), this.tf.constant(0));
		Operand<TInt32> given = drawn(calm, states, past, this.network.reshape(noise, -1, parts.size()), rows);

		Operand<TInt64> seed = this.tf.placeholder(TInt64.class, Placeholder.shape(Shape.of(2)));
		Operand<TInt32> draws = ints();
		Operand<TInt32> count = this.tf.math.mul(draws, texts(past));
		Operand<TFloat32> own = this.network.reshape(parts.draw(this.network, new Draws(this.tf, seed), count), -1,
				parts.size());
		Map<String, Operand<? extends TType>> inputs = named("tokens", tokens, "seed", seed);
		inputs.put("draws", draws);
		return List.of(new Signature("next_patches", named("tokens", tokens, "noise", noise), Map.of("patches", given)),
				new Signature("next_patches_seeded", inputs, Map.of("patches", drawn(calm, states, past, own, draws))));
	}

	/**
	 * Draws patches behind texts.
	 * @param states {@code [B, state]}
	 * @param noise {@code [B·N, size]}
	 * @param draws a scalar, N
	 * @return {@code [B, N, K]}
	 */
	private Operand<TInt32> drawn(CalmNetwork calm, Operand<TFloat32> states, NoPast past, Operand<TFloat32> noise,
			Operand<TInt32> draws) {
		Operand<TInt32> each = this.tf.range(this.tf.constant(0), texts(past), this.tf.constant(1));
		// [B, N], the text of each draw
		Operand<TInt32> owners = this.tf.tile(this.tf.expandDims(each, this.tf.constant(1)),
				this.tf.stack(List.of(this.tf.constant(1), draws)));
		Operand<TInt32> patches = calm.draw(states, this.tf.reshape(owners, this.tf.constant(new int[] { -1 })), noise);
		return past.perSequence(this.tf, patches, calm.config().patchSize());
	}

	/** A scalar, B. */
	private Operand<TInt32> texts(NoPast past) {
		return this.tf.gather(past.sequences(), this.tf.constant(0), this.tf.constant(0));
	}

	private Operand<TInt32> patches(Operand<TInt32> tokens, int size) {
		return this.tf.reshape(tokens, this.tf.constant(new int[] { -1, size }));
	}

	/** The state behind each text, {@code [B, size]}. */
	private Operand<TFloat32> lastOfEach(Operand<TFloat32> states, NoPast past, long size) {
		Operand<TFloat32> perText = past.perSequence(this.tf, states, Math.toIntExact(size));
		Operand<TFloat32> last = this.tf.slice(perText,
				this.tf.stack(List.of(this.tf.constant(0), last(past), this.tf.constant(0))),
				this.tf.constant(new int[] { -1, 1, -1 }));
		return this.network.reshape(last, -1, size);
	}

	private Operand<TInt32> last(NoPast past) {
		Operand<TInt32> length = this.tf.size(
				this.tf.slice(past.mask(), this.tf.constant(new int[4]), this.tf.constant(new int[] { 1, 1, 1, -1 })));
		return this.tf.math.sub(length, this.tf.constant(1));
	}

	/** The same for each of the texts of an input, {@code [B, shape]}. */
	private <T extends TType> Operand<T> perText(Operand<T> values, Operand<? extends TType> input, int... shape) {
		Operand<TInt32> texts = this.tf.slice(this.tf.shape(input), this.tf.constant(new int[] { 0 }),
				this.tf.constant(new int[] { 1 }));
		return this.tf.reshape(values, this.tf.concat(List.of(texts, this.tf.constant(shape)), this.tf.constant(0)));
	}

	private Operand<TInt32> ints(long... shape) {
		return this.tf.placeholder(TInt32.class, Placeholder.shape(Shape.of(shape)));
	}

	private static int longest(int positions) {
		return Math.min(positions, LONGEST);
	}

	private static Map<String, Operand<? extends TType>> named(String name, Operand<? extends TType> operand,
			String second, Operand<? extends TType> other) {
		Map<String, Operand<? extends TType>> named = new LinkedHashMap<>();
		named.put(name, operand);
		named.put(second, other);
		return named;
	}

}

package io.calm.evaluation;

import java.nio.file.Path;

import io.calm.autoencoder.Autoencoder;
import io.calm.autoencoder.AutoencoderConfig;
import io.calm.autoencoder.Posterior;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Draws;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Network;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelKind;
import io.calm.text.TokenStore;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * The accuracy of an autoencoder, or of the one inside a language model, on text.
 *
 * @param seed of the noise
 */
public record AutoencoderScoring(long seed) implements Scoring<AutoencoderScore> {

	private static final int PATCHES = 256;

	@Override
	public AutoencoderScore score(Path directory, TokenStore data, ProgramOptions options) {
		Counts counts = new Counts();
		BlockProgram.run(directory, data, options, PATCHES, 1, AutoencoderScoring::autoencoder,
				(builder, autoencoder) -> program(builder, autoencoder, counts));
		return counts.score();
	}

	private static Autoencoder autoencoder(Network network, ModelDirectory model, TensorFile weights) {
		boolean alone = ModelKind.of(model.path(), weights) == ModelKind.AUTOENCODER;
		AutoencoderConfig config = alone ? ModelConfigs.autoencoder(model) : ModelConfigs.autoencoderOf(model, weights);
		return new Autoencoder(network, alone ? "" : CalmNetwork.AUTOENCODER, config);
	}

	private BlockProgram program(ProgramBuilder builder, Autoencoder autoencoder, Counts counts) {
		AutoencoderConfig config = autoencoder.config();
		Ops tf = builder.network().tf();
		Input<TInt32, int[]> tokens = builder.ints(PATCHES, config.patchSize());
		Input<TInt64, long[]> draw = builder.seed();
		Posterior posterior = autoencoder.encode(tokens.value());
		Operand<TFloat32> noise = new Draws(tf, draw.value()).normal(PATCHES, config.latentSize());
		Fetch<int[]> clean = Fetch.ints(autoencoder.decodeTokens(posterior.mean()));
		Fetch<int[]> noisy = Fetch.ints(autoencoder.decodeTokens(
				tf.math.add(posterior.mean(), tf.math.mul(noise, tf.constant((float) AutoencoderScore.NOISE)))));
		return new BlockProgram(config.patchSize(), config.padId(), builder.entryPoint().fetching(clean, noisy),
				(call, blocks, number) -> call.feed(tokens, blocks.tokens())
					.feed(draw, new long[] { this.seed, number }),
				(call, blocks) -> counts.add(blocks.tokens(), call.get(clean), call.get(noisy), config.padId()));
	}

	/** What is counted. */
	private static final class Counts {

		private long tokens;

		private long fromMean;

		private long fromNoise;

		boolean add(int[] truth, int[] fromMean, int[] fromNoise, int padId) {
			for (int i = 0; i < truth.length; i++) {
				if (truth[i] != padId) {
					this.tokens++;
					this.fromMean += (fromMean[i] == truth[i]) ? 1 : 0;
					this.fromNoise += (fromNoise[i] == truth[i]) ? 1 : 0;
				}
			}
			return true;
		}

		AutoencoderScore score() {
			return new AutoencoderScore((double) this.fromMean / this.tokens, (double) this.fromNoise / this.tokens,
					this.tokens);
		}

	}

}

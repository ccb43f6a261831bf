package io.calm.evaluation;

import java.nio.file.Path;

import io.calm.autoencoder.Autoencoder;
import io.calm.autoencoder.AutoencoderConfig;
import io.calm.autoencoder.Posterior;
import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Call;
import io.calm.graph.Draws;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelFiles;
import io.calm.model.ModelKind;
import io.calm.text.TokenBatch;
import io.calm.text.TokenBlocks;
import io.calm.text.TokenStore;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * How well an autoencoder gives back what it was given: the share of tokens, PAD left
 * out.
 *
 * @param accuracy when the mean of the posterior is decoded
 * @param noisyAccuracy when noise of σ = 0.3 is added to it first
 * @param tokens how many were compared
 */
public record AutoencoderScore(double accuracy, double noisyAccuracy, long tokens) {

	/** The standard deviation of the noise. */
	public static final double NOISE = 0.3;

	private static final int PATCHES = 256;

	/**
	 * Scores an autoencoder, or the one inside a language model, on text.
	 * @param directory of an autoencoder or a language model
	 * @param data the text
	 * @param options device and precision
	 * @param seed of the noise
	 * @return the score
	 */
	public static AutoencoderScore of(Path directory, TokenStore data, ProgramOptions options, long seed) {
		ModelDirectory model = ModelDirectory.open(directory);
		try (TensorFile weights = model.weights(); ProgramBuilder builder = new ProgramBuilder(options)) {
			boolean alone = ModelKind.of(directory, weights) == ModelKind.AUTOENCODER;
			AutoencoderConfig config = alone ? ModelConfigs.autoencoder(model)
					: ModelConfigs.autoencoderOf(model, weights);
			Ops tf = builder.network().tf();
			Autoencoder autoencoder = new Autoencoder(builder.network(), alone ? "" : CalmNetwork.AUTOENCODER, config);
			ModelFiles.check(builder.network().variables().select((name) -> true), directory, weights);
			Input<TInt32, int[]> tokens = builder.ints(PATCHES, config.patchSize());
			Input<TInt64, long[]> draw = builder.seed();
			Posterior posterior = autoencoder.encode(tokens.value());
			Operand<TFloat32> noise = new Draws(tf, draw.value()).normal(PATCHES, config.latentSize());
			Fetch<int[]> clean = Fetch.ints(autoencoder.decodeTokens(posterior.mean()));
			Fetch<int[]> noisy = Fetch.ints(autoencoder
				.decodeTokens(tf.math.add(posterior.mean(), tf.math.mul(noise, tf.constant((float) NOISE)))));
			EntryPoint reconstruct = builder.entryPoint().fetching(clean, noisy);
			try (Program program = builder.build()) {
				ModelFiles.load(program, program.variables((name) -> true), directory, weights);
				TokenBlocks blocks = TokenBlocks.sequential(data, config.patchSize(), PATCHES, config.padId());
				long[] right = new long[2];
				long count = 0;
				for (long block = 0; block < blocks.blocks(); block++) {
					TokenBatch batch = blocks.batch(1, block);
					try (Call call = program.call(reconstruct)
						.feed(tokens, batch.tokens())
						.feed(draw, new long[] { seed, block })
						.run()) {
						int[] fromMean = call.get(clean);
						int[] fromNoise = call.get(noisy);
						for (int i = 0; i < batch.tokens().length; i++) {
							int token = batch.tokens()[i];
							if (token != config.padId()) {
								count++;
								right[0] += (fromMean[i] == token) ? 1 : 0;
								right[1] += (fromNoise[i] == token) ? 1 : 0;
							}
						}
					}
				}
				return new AutoencoderScore((double) right[0] / count, (double) right[1] / count, count);
			}
		}
	}

}

package io.calm.evaluation;

import java.nio.file.Path;
import java.util.Arrays;

import io.calm.autoencoder.AutoencoderConfig;
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
import io.calm.input.InvalidInputException;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelFiles;
import io.calm.text.TokenBatch;
import io.calm.text.TokenBlocks;
import io.calm.text.TokenStore;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * BrierLM of a CALM language model on text (section 5 of the paper), for K ≥ 4: two
 * patches are drawn given the true ones before them, and the first four tokens of each
 * are compared with the truth and with each other.
 *
 * @param patches P, the length of the blocks, which shifts the score: report it with it
 * @param batch blocks per native call
 * @param limit the greatest number of positions scored; 0 for all
 * @param seed of the draws
 */
public record BrierLm(int patches, int batch, long limit, long seed) {

	private static final int DRAWS = 2;

	/**
	 * Scores a model.
	 * @param directory of a language model
	 * @param data the text
	 * @param options device and precision
	 * @return the score
	 */
	public BrierScore score(Path directory, TokenStore data, ProgramOptions options) {
		ModelDirectory model = ModelDirectory.open(directory);
		try (TensorFile weights = model.weights(); ProgramBuilder builder = new ProgramBuilder(options)) {
			CalmConfig config = ModelFiles.calm(model, weights);
			if (config.patchSize() < BrierScore.LENGTH) {
				throw new InvalidInputException(directory.toString(),
						"has a patch size of " + config.patchSize() + ", and BrierLM is available from 4 on",
						"give a model with patches of at least 4 tokens");
			}
			AutoencoderConfig autoencoder = ModelFiles.autoencoderOf(model, weights);
			CalmNetwork network = new CalmNetwork(builder.network(), config, autoencoder);
			ModelFiles.check(builder.network().variables().select((name) -> true), directory, weights);
			Input<TInt32, int[]> tokens = builder.ints((long) this.batch * this.patches, config.patchSize());
			Input<TInt32, int[]> documents = builder.ints(this.batch, this.patches);
			Input<TInt64, long[]> draw = builder.seed();
			Fetch<int[]> drawn = Fetch.ints(network.decodeTokens(network.head()
				.sample(network.hiddenStates(tokens.value(), documents.value()), DRAWS,
						new Draws(builder.network().tf(), draw.value()))));
			EntryPoint predict = builder.entryPoint().fetching(drawn);
			try (Program program = builder.build()) {
				ModelFiles.load(program, program.variables((name) -> true), directory, weights);
				TokenBlocks blocks = TokenBlocks.sequential(data, config.patchSize(), this.patches, config.padId());
				Brier brier = new Brier();
				long scored = 0;
				long calls = (blocks.blocks() + this.batch - 1) / this.batch;
				for (long i = 0; i < calls && (this.limit == 0 || scored < this.limit); i++) {
					TokenBatch block = blocks.batch(this.batch, i);
					try (Call call = program.call(predict)
						.feed(tokens, block.tokens())
						.feed(documents, block.documents())
						.feed(draw, new long[] { this.seed, i })
						.run()) {
						long rest = (this.limit == 0) ? Long.MAX_VALUE : this.limit - scored;
						scored += add(brier, block, call.get(drawn), config.padId(), rest);
					}
				}
				return brier.score();
			}
		}
	}

	/** Compares the draws after each patch with the next patch of the same document. */
	private static long add(Brier brier, TokenBatch block, int[] drawn, int padId, long limit) {
		int size = block.patchSize();
		long scored = 0;
		for (int i = 0; i < block.documents().length - 1 && scored < limit; i++) {
			boolean sameDocument = (i + 1) % block.patches() != 0 && block.documents()[i] != 0
					&& block.documents()[i] == block.documents()[i + 1];
			int[] truth = first(block.tokens(), (i + 1) * size);
			if (sameDocument && Arrays.stream(truth).noneMatch((token) -> token == padId)) {
				brier.add(block.sources()[i + 1], first(drawn, i * DRAWS * size), first(drawn, (i * DRAWS + 1) * size),
						truth);
				scored++;
			}
		}
		return scored;
	}

	private static int[] first(int[] tokens, int from) {
		return Arrays.copyOfRange(tokens, from, from + BrierScore.LENGTH);
	}

}

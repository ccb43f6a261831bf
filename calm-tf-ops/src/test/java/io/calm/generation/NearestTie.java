package io.calm.generation;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.SplittableRandom;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Call;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import io.calm.model.ModelConfigs;
import io.calm.model.ModelFiles;
import io.calm.model.TinyModel;
import io.calm.sampling.PatchSource;
import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

/**
 * Draws the patch after a given text once more, without a cache, and looks how nearly two
 * tokens were equally likely: there, and only there, may rounding choose another one.
 */
final class NearestTie {

	private NearestTie() {
	}

	/**
	 * The smallest difference of the greatest two logits among all that decide a patch.
	 * @param directory of the model
	 * @param request what the text was made for
	 * @param prompt its tokens
	 * @param text the tokens before the patch, whole patches
	 */
	static float before(Path directory, GenerationRequest request, int[] prompt, int[] text) {
		ModelDirectory model = ModelDirectory.open(directory);
		try (TensorFile weights = model.weights(); ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			CalmConfig config = ModelConfigs.calm(model, weights);
			int size = config.patchSize();
			int[] known = Prompt.of(prompt, config, ModelConfigs.leftPadded(model)).patches();
			int[] all = Arrays.copyOf(known, known.length + text.length);
			System.arraycopy(text, 0, all, known.length, text.length);
			int length = all.length / size; // P
			Input<TInt32, int[]> patches = builder.ints(length, size); // [P, K]
			Input<TInt32, int[]> documents = builder.ints(1, length);
			Input<TInt32, int[]> owners = builder.ints(-1); // [R]
			Input<TFloat32, float[]> noise = builder.floats(-1, config.head().noise().size());
			CalmNetwork network = new CalmNetwork(builder.network(), config,
					ModelConfigs.autoencoderOf(model, weights));
			// [P, d]
			Operand<TFloat32> hidden = network.hiddenStates(patches.value(), documents.value());
			// [R·K, V]
			Fetch<float[]> logits = Fetch
				.floats(network.decode(network.head().sample(hidden, owners.value(), noise.value())));
			EntryPoint draw = builder.entryPoint().fetching(logits);
			SplittableRandom random = Slot.random(request.seed(), length - 1, Slot.NOISE);
			float[] least = { Float.MAX_VALUE };
			try (Program program = builder.build()) {
				ModelFiles.load(program, program.variables((name) -> true), directory, weights);
				PatchSource source = (count) -> {
					int[] last = new int[count];
					Arrays.fill(last, length - 1);
					try (Call call = program.call(draw)
						.feed(patches, all)
						.feed(documents, new int[length])
						.feed(owners, last)
						.feed(noise, config.head().noise().draw(random, count))
						.run()) {
						return greatest(call.get(logits), count * size, least);
					}
				};
				request.sampling().ofPatches().sample(source, Slot.random(request.seed(), length, Slot.CHOICE));
			}
			return least[0];
		}
	}

	private static int[] greatest(float[] logits, int rows, float[] least) {
		int width = logits.length / rows;
		int[] tokens = new int[rows];
		for (int row = 0; row < rows; row++) {
			float first = Float.NEGATIVE_INFINITY;
			float second = Float.NEGATIVE_INFINITY;
			for (int token = 0; token < width; token++) {
				float logit = logits[row * width + token];
				if (logit > first) {
					second = first;
					first = logit;
					tokens[row] = token;
				}
				else {
					second = Math.max(second, logit);
				}
			}
			least[0] = Math.min(least[0], first - second);
		}
		return tokens;
	}

}

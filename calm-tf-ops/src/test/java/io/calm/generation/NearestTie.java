package io.calm.generation;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
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
import io.calm.model.PatchNoise;
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

	/** How far the numbers that draw lead tokens are moved. */
	private static final float TIE = 1e-6f;

	private NearestTie() {
	}

	/**
	 * The smallest difference of the greatest two logits among all that decide a patch,
	 * or 0 where another patch would have been chosen if all lead tokens were drawn a
	 * little further up, or down.
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
			Input<TInt32, int[]> tokens = builder.ints(length, size); // [P, K]
			Input<TInt32, int[]> documents = builder.ints(1, length);
			Input<TInt32, int[]> owners = builder.ints(-1); // [R]
			Input<TFloat32, float[]> noise = builder.floats(-1, config.noise().size());
			CalmNetwork network = new CalmNetwork(builder.network(), config,
					ModelConfigs.autoencoderOf(model, weights));
			// [P, d]
			Operand<TFloat32> hidden = network.states(tokens.value(), documents.value());
			// [R·K, V]
			Fetch<float[]> logits = Fetch
				.floats(network.decode(network.latents(hidden, owners.value(), noise.value())));
			Fetch<int[]> patch = Fetch.ints(network.draw(hidden, owners.value(), noise.value()));
			EntryPoint draw = builder.entryPoint().fetching(logits).fetching(patch);
			float[] least = { Float.MAX_VALUE };
			List<int[]> patches = new ArrayList<>();
			try (Program program = builder.build()) {
				ModelFiles.load(program, program.variables((name) -> true), directory, weights);
				for (float by : new float[] { -TIE, TIE, 0 }) {
					SplittableRandom random = Slot.random(request.seed(), length - 1, Slot.NOISE);
					PatchSource source = (count) -> {
						int[] last = new int[count];
						Arrays.fill(last, length - 1);
						try (Call call = program.call(draw)
							.feed(tokens, all)
							.feed(documents, new int[length])
							.feed(owners, last)
							.feed(noise, moved(config.noise().draw(random, count), config.noise(), by))
							.run()) {
							differences(call.get(logits), config.vocabularySize(), size, config.leadTokens(), least);
							return call.get(patch);
						}
					};
					patches.add(request.sampling()
						.ofPatches()
						.sample(source, Slot.random(request.seed(), length, Slot.CHOICE))
						.tokens());
				}
			}
			if (!Arrays.equals(patches.get(0), patches.get(1)) || !Arrays.equals(patches.get(0), patches.get(2))) {
				return 0;
			}
			return least[0];
		}
	}

	/** The numbers of lead tokens, all moved a little. */
	private static float[] moved(float[] noise, PatchNoise shape, float by) {
		float[] moved = noise.clone();
		for (int i = 0; i < moved.length; i++) {
			if (i % shape.size() < shape.leadTokens()) {
				moved[i] = Math.min(Math.max(moved[i] + by, 0), Math.nextDown(1f));
			}
		}
		return moved;
	}

	/** Of the tokens behind the lead tokens. */
	private static void differences(float[] logits, int width, int size, int leads, float[] least) {
		for (int row = 0; row < logits.length / width; row++) {
			float first = Float.NEGATIVE_INFINITY;
			float second = Float.NEGATIVE_INFINITY;
			for (int token = 0; token < width; token++) {
				float logit = logits[row * width + token];
				second = Math.max(second, Math.min(first, logit));
				first = Math.max(first, logit);
			}
			if (row % size >= leads) {
				least[0] = Math.min(least[0], first - second);
			}
		}
	}

}

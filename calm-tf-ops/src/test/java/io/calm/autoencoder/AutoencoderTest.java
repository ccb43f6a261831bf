package io.calm.autoencoder;

import java.util.Arrays;
import java.util.Random;
import java.util.stream.IntStream;

import io.calm.graph.Call;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.model.TinyModel;
import org.junit.jupiter.api.Test;
import org.tensorflow.types.TBool;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

import static org.assertj.core.api.Assertions.assertThat;

class AutoencoderTest {

	private static final int DRAWS = 300;

	private static final int OWNERS = 3;

	private static final int NONE = -1;

	/**
	 * Latent vectors so near to each other that some patches come again, and some ends of
	 * patches.
	 */
	@Test
	void decodesWhatIsRepeatedAndAsMuchOfTheRestAsTellsItApart() {
		AutoencoderConfig config = TinyModel.autoencoder().build();
		int size = config.patchSize();
		Random random = new Random(2);
		float[] latents = new float[DRAWS * config.latentSize()];
		for (int i = 0; i < latents.length; i++) {
			latents[i] = (float) (0.4 * random.nextGaussian());
		}
		int[] owners = IntStream.range(0, DRAWS).map((draw) -> draw * OWNERS / DRAWS).toArray();
		int[] whole = IntStream.range(0, DRAWS).map((draw) -> (draw % 50 == 0) ? 1 : 0).toArray();
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			Autoencoder autoencoder = new Autoencoder(builder.network(), "", config);
			Input<TFloat32, float[]> latent = builder.floats(-1, config.latentSize());
			Input<TInt32, int[]> owner = builder.ints(-1);
			Input<TInt32, int[]> wanted = builder.ints(-1);
			Fetch<int[]> all = Fetch.ints(autoencoder.decodeTokens(latent.value()));
			Fetch<int[]> repeated = Fetch.ints(autoencoder.decodeRepeated(latent.value(), owner.value(),
					builder.network().tf().dtypes.cast(wanted.value(), TBool.class)));
			EntryPoint decode = builder.entryPoint().fetching(all).fetching(repeated);
			try (Program program = builder.build()) {
				program.initialize(program.variables((name) -> true), 4);
				try (Call call = program.call(decode)
					.feed(latent, latents)
					.feed(owner, owners)
					.feed(wanted, whole)
					.run()) {
					check(call.get(all), call.get(repeated), size, owners, whole);
				}
			}
		}
	}

	private static void check(int[] all, int[] partial, int size, int[] owners, int[] whole) {
		int[] left = new int[size + 1];
		for (int draw = 0; draw < DRAWS; draw++) {
			int[] expected = Arrays.copyOfRange(all, draw * size, (draw + 1) * size);
			if (whole[draw] == 0) {
				int place = size - 1;
				while (place > 0 && comesAgain(all, size, owners, draw, place)) {
					place--;
				}
				Arrays.fill(expected, 0, place, NONE);
				left[place]++;
			}
			assertThat(Arrays.copyOfRange(partial, draw * size, (draw + 1) * size))
				.as("draw %d of %d", draw, owners[draw])
				.isEqualTo(expected);
		}
		assertThat(left[0]).as("decoded to the first token").isPositive();
		assertThat(Arrays.copyOfRange(left, 1, size)).as("left out 1, 2, 3").doesNotContain(0);
	}

	private static boolean comesAgain(int[] all, int size, int[] owners, int draw, int place) {
		return IntStream.range(0, DRAWS)
			.anyMatch((other) -> other != draw && owners[other] == owners[draw] && Arrays.equals(all,
					draw * size + place, (draw + 1) * size, all, other * size + place, (other + 1) * size));
	}

}

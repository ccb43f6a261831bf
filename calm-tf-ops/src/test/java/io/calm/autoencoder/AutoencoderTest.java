package io.calm.autoencoder;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
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
			Fetch<int[]> repeated = Fetch.ints(autoencoder.decodeRepeated(latent.value(), null, owner.value(),
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

	/** First tokens that are known stay, and tell patches apart before any is decoded. */
	@Test
	void knowsTheFirstTokens() {
		AutoencoderConfig config = TinyModel.autoencoder().build();
		int size = config.patchSize();
		SplittableRandom random = new SplittableRandom(5);
		float[] latents = new float[DRAWS * config.latentSize()];
		for (int i = 0; i < latents.length; i++) {
			latents[i] = (float) (0.4 * random.nextGaussian());
		}
		int[] first = random.ints(2L * DRAWS, 10, 13).toArray();
		int[] owners = new int[DRAWS];
		int[] whole = new int[DRAWS];
		whole[7] = 1;
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			Autoencoder autoencoder = new Autoencoder(builder.network(), "", config);
			Input<TFloat32, float[]> latent = builder.floats(-1, config.latentSize());
			Input<TInt32, int[]> known = builder.ints(-1, 2);
			Fetch<int[]> plain = Fetch.ints(autoencoder.decodeTokens(latent.value()));
			Fetch<int[]> all = Fetch.ints(autoencoder.decodeTokens(latent.value(), known.value()));
			Fetch<int[]> repeated = Fetch
				.ints(autoencoder.decodeRepeated(latent.value(), known.value(), builder.network().tf().constant(owners),
						builder.network().tf().dtypes.cast(builder.network().tf().constant(whole), TBool.class)));
			EntryPoint decode = builder.entryPoint().fetching(plain, all).fetching(repeated);
			try (Program program = builder.build()) {
				program.initialize(program.variables((name) -> true), 4);
				try (Call call = program.call(decode).feed(latent, latents).feed(known, first).run()) {
					Map<List<Integer>, Integer> counts = new HashMap<>();
					for (int draw = 0; draw < DRAWS; draw++) {
						int[] patch = patch(call.get(all), draw, size);
						assertThat(patch).startsWith(first[2 * draw], first[2 * draw + 1])
							.endsWith(Arrays.copyOfRange(patch(call.get(plain), draw, size), 2, size));
						counts.merge(Arrays.stream(patch).boxed().toList(), 1, Integer::sum);
					}
					int left = 0;
					for (int draw = 0; draw < DRAWS; draw++) {
						int[] patch = patch(call.get(all), draw, size);
						int[] partial = patch(call.get(repeated), draw, size);
						boolean again = counts.getOrDefault(Arrays.stream(patch).boxed().toList(), 0) > 1;
						if (again || draw == 7) {
							assertThat(partial).isEqualTo(patch);
						}
						else {
							// the last place reached may be the one that tells
							left += Arrays.stream(partial).anyMatch((token) -> token == NONE) ? 1 : 0;
							Arrays.setAll(patch, (i) -> (partial[i] == NONE) ? NONE : patch[i]);
							assertThat(partial).isEqualTo(patch);
						}
					}
					assertThat(left).as("not decoded to the end").isPositive();
				}
			}
		}
	}

	private static int[] patch(int[] all, int draw, int size) {
		return Arrays.copyOfRange(all, draw * size, (draw + 1) * size);
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

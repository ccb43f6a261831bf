package io.calm.autoencoder;

import java.util.Arrays;

import io.calm.graph.Call;
import io.calm.graph.Draws;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.model.TinyModel;
import org.junit.jupiter.api.Test;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

class VariationalObjectiveTest {

	/**
	 * A last layer without weights says the same of every patch: its biases. Then
	 * {@code KL = ½(μ² + σ² − 1 − 2 log σ)} is known for each dimension.
	 */
	@Test
	void dimensionsThatSayNothingAreCounted() {
		AutoencoderConfig config = TinyModel.autoencoder().latentSize(6).build();
		// KL: 0, ½·0.1² = 0.005, ½·0.2² = 0.02, ½·3² = 4.5, and for σ = e: ½(e² − 3) =
		// 2.19…
		float[] biases = { 0, 0.1f, 0.2f, 3, 0, 0.1f, 0, 0, 0, 0, 1, 0 };
		float[] known = { 0, 0.005f, 0.02f, 4.5f, 2.1945280f, 0.005f };
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			Input<TInt32, int[]> tokens = builder.ints(5, config.patchSize());
			Input<TInt64, long[]> seed = builder.seed();
			VariationalObjective objective = VariationalObjective.of(builder.network(),
					new Autoencoder(builder.network(), "", config), tokens.value(), VariationalObjective.Noise
						.draw(builder.network().tf(), new Draws(builder.network().tf(), seed.value()), config, 5));
			Fetch<float[]> kl = Fetch.floats(objective.klPerDimension());
			Fetch<float[]> sum = Fetch.floats(objective.kl());
			Fetch<float[]> collapsed = Fetch.floats(objective.collapsed());
			EntryPoint look = builder.entryPoint().fetching(kl, sum, collapsed);
			try (Program program = builder.build()) {
				program.initialize(program.variables((name) -> true), 1);
				program.write(program.variables((name) -> name.startsWith("encoder.hidden_to_latent.")),
						(variable) -> variable.name().endsWith("bias") ? biases
								: new float[biases.length * config.hiddenSize()]);
				int[] text = new int[5 * config.patchSize()];
				Arrays.setAll(text, (i) -> 10 + i);
				try (Call call = program.call(look).feed(tokens, text).feed(seed, new long[] { 1, 1 }).run()) {
					assertThat(call.get(kl)).containsExactly(known, within(1e-5f));
					assertThat(call.scalar(sum)).isCloseTo(6.724528f, within(1e-4f));
					assertThat(call.scalar(collapsed)).isEqualTo(3);
				}
			}
		}
	}

}

package io.calm.model;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.graph.Call;
import io.calm.graph.Draws;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.Variable;
import io.calm.graph.Variables;
import org.junit.jupiter.api.Test;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

/**
 * Copying against its formula, written with loops; on paths against whole sequences; its
 * gradients against differences. What a cache makes of it, the tests of the engine tell.
 */
class CopyAttentionTest {

	private static final int K = 3;

	private static final int PATCHES = 5;

	private static final int VOCABULARY = 23;

	/** d. */
	private static final int WIDTH = 8;

	/** D. */
	private static final int VECTOR = 6;

	/** s. */
	private static final int SIZE = 4;

	/** Hidden states and what is copied. */
	private static final int STATE = WIDTH + K * VECTOR;

	private static final AutoencoderConfig AUTOENCODER = AutoencoderConfig.builder(VOCABULARY)
		.patchSize(K)
		.hiddenSize(VECTOR)
		.intermediateSize(8)
		.latentSize(4)
		.build();

	private static final CalmConfig CONFIG = CalmConfig.preset("nano")
		.hiddenSize(WIDTH)
		.heads(2)
		.copySize(SIZE)
		.leadTokens(2)
		.noiseSize(5)
		.samples(3)
		.targets(4)
		.build(AUTOENCODER);

	/** Another document begins in the middle. */
	private static final int[] DOCUMENTS = { 1, 1, 2, 2, 2 };

	private final int[] tokens = new Random(2).ints((long) PATCHES * K, 3, VOCABULARY).toArray();

	private final Map<String, float[]> weights = new HashMap<>();

	@Test
	void isTheFormula() {
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			CalmNetwork network = new CalmNetwork(builder.network(), CONFIG, AUTOENCODER);
			Input<TInt32, int[]> sequence = builder.ints(PATCHES, K);
			Operand<TFloat32> layered = states(builder, network, sequence.value());
			Fetch<float[]> states = Fetch.floats(layered);
			Fetch<float[]> whole = Fetch
				.floats(network.states(sequence.value(), builder.network().tf().constant(new int[][] { DOCUMENTS })));
			Fetch<float[]> joined = Fetch.floats(network.given(layered));
			EntryPoint all = builder.entryPoint().fetching(states, whole, joined);
			try (Program program = builder.build()) {
				initialize(program);
				try (Call call = program.call(all).feed(sequence, this.tokens).run()) {
					assertThat(call.get(whole)).containsExactly(call.get(states), within(1e-6f));
					for (int patch = 0; patch < PATCHES; patch++) {
						float[] row = row(call.get(states), patch, STATE);
						double[] copies = copies(Arrays.copyOf(row, WIDTH), patch);
						assertThat(doubles(Arrays.copyOfRange(row, WIDTH, row.length))).containsExactly(copies,
								within(1e-5));
						double[] sum = product("copy_proj.weight", copies);
						for (int i = 0; i < WIDTH; i++) {
							sum[i] += row[i];
						}
						assertThat(doubles(row(call.get(joined), patch, WIDTH))).containsExactly(sum, within(1e-5));
					}
				}
			}
		}
	}

	@Test
	void isTheNetworkOnEachPath() {
		int[][] paths = { new Random(4).ints((long) PATCHES * K, 3, VOCABULARY).toArray(),
				new Random(5).ints((long) PATCHES * K, 3, VOCABULARY).toArray() };
		int length = PATCHES + paths.length;
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			Ops tf = builder.network().tf();
			CalmNetwork network = new CalmNetwork(builder.network(), CONFIG, AUTOENCODER);
			Input<TInt32, int[]> sequence = builder.ints(PATCHES, K);
			Rollout rollout = network.rollout(sequence.value(), tf.constant(new int[][] { DOCUMENTS }));
			List<Fetch<float[]>> steps = new ArrayList<>(List.of(Fetch.floats(rollout.states())));
			for (int[] path : paths) {
				Operand<TInt32> next = tf.reshape(tf.constant(path), tf.constant(new int[] { PATCHES, K }));
				steps.add(Fetch.floats(rollout.proceed(next)));
			}
			EntryPoint all = builder.entryPoint().fetching(steps.toArray(Fetch<?>[]::new));
			Input<TInt32, int[]> whole = builder.ints(length, K);
			Input<TInt32, int[]> owners = builder.ints(1, length);
			Fetch<float[]> plain = Fetch.floats(network.states(whole.value(), owners.value()));
			EntryPoint forward = builder.entryPoint().fetching(plain);
			try (Program program = builder.build()) {
				initialize(program);
				try (Call call = program.call(all).feed(sequence, this.tokens).run()) {
					for (int i = 0; i < PATCHES; i++) {
						int[] continued = Arrays.copyOf(this.tokens, length * K);
						int[] owner = Arrays.copyOf(DOCUMENTS, length);
						for (int step = 0; step < paths.length; step++) {
							System.arraycopy(paths[step], i * K, continued, (i + 1 + step) * K, K);
							owner[i + 1 + step] = DOCUMENTS[i];
						}
						try (Call reference = program.call(forward).feed(whole, continued).feed(owners, owner).run()) {
							for (int step = 0; step <= paths.length; step++) {
								assertThat(row(call.get(steps.get(step)), i, STATE))
									.containsExactly(row(reference.get(plain), i + step, STATE), within(1e-5f));
							}
						}
					}
				}
			}
		}
	}

	/** Of the loss with both terms, for every new parameter. */
	@Test
	void gradientsAreThoseOfDifferences() {
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			Ops tf = builder.network().tf();
			CalmNetwork network = new CalmNetwork(builder.network(), CONFIG, AUTOENCODER);
			Input<TInt32, int[]> sequence = builder.ints(PATCHES, K);
			Input<TInt64, long[]> seed = builder.seed();
			// every patch predicts itself here: what is learned does not matter
			Operand<TFloat32> states = states(builder, network, sequence.value());
			Draws draws = new Draws(tf, seed.value());
			Operand<TFloat32> loss = tf.sum(
					tf.math.add(network.tokenLoss(states, sequence.value(), draws),
							network.vectorLoss(states, network.posterior(sequence.value()), sequence.value(), draws)),
					tf.constant(0));
			List<Variable> parameters = builder.network()
				.variables()
				.select((name) -> name.matches("(copy_attention|copy_proj|token_head|lead_proj)[.].*"));
			assertThat(parameters).hasSize(11);
			Fetch<float[]> value = Fetch.floats(loss);
			List<Fetch<float[]>> gradients = builder.gradients(loss, Variables.values(parameters))
				.stream()
				.map(Fetch::floats)
				.toList();
			EntryPoint both = builder.entryPoint().fetching(value).fetching(gradients.toArray(Fetch<?>[]::new));
			try (Program program = builder.build()) {
				initialize(program);
				for (int i = 0; i < parameters.size(); i++) {
					Variable parameter = parameters.get(i);
					float[] at = weight(parameter.name());
					float[] gradient = run(program, both, sequence, seed, gradients.get(i));
					for (int entry = 0; entry < at.length; entry += Math.max(1, at.length / 5)) {
						double[] values = new double[2];
						for (int side = 0; side < 2; side++) {
							float[] moved = at.clone();
							moved[entry] += (side == 0) ? -1e-2f : 1e-2f;
							program.write(List.of(parameter), (variable) -> moved);
							values[side] = run(program, both, sequence, seed, value)[0];
						}
						program.write(List.of(parameter), (variable) -> at);
						assertThat((double) gradient[entry]).as(parameter.name() + " " + entry)
							.isCloseTo((values[1] - values[0]) / 2e-2, within(2e-3 + 0.02 * Math.abs(gradient[entry])));
					}
				}
			}
		}
	}

	private float[] run(Program program, EntryPoint entryPoint, Input<TInt32, int[]> sequence,
			Input<TInt64, long[]> seed, Fetch<float[]> fetch) {
		try (Call call = program.call(entryPoint).feed(sequence, this.tokens).feed(seed, new long[] { 1, 1 }).run()) {
			return call.get(fetch);
		}
	}

	/** What the K places behind a patch copy, {@code [K·D]}. */
	private double[] copies(float[] hidden, int patch) {
		double[] queries = product("copy_attention.q_proj.weight", doubles(hidden));
		double[] copies = new double[K * VECTOR];
		for (int place = 0; place < K; place++) {
			double[] query = rotated(Arrays.copyOfRange(queries, place * SIZE, (place + 1) * SIZE), patch * K + K - 1);
			double all = Math.exp(weight("copy_attention.nothing")[0]);
			for (int token = 0; token < (patch + 1) * K; token++) {
				if (DOCUMENTS[token / K] == DOCUMENTS[patch]) {
					double[] key = rotated(key(token, DOCUMENTS[patch]), token);
					double score = 0;
					for (int i = 0; i < SIZE; i++) {
						score += query[i] * key[i];
					}
					double share = Math.exp(score / Math.sqrt(SIZE));
					all += share;
					double[] vector = vector(this.tokens[token]);
					for (int i = 0; i < VECTOR; i++) {
						copies[place * VECTOR + i] += share * vector[i];
					}
				}
			}
			for (int i = 0; i < VECTOR; i++) {
				copies[place * VECTOR + i] /= all;
			}
		}
		return copies;
	}

	/** Of a token and the one before it in its document, else PAD. */
	private double[] key(int token, int document) {
		boolean first = token == 0 || DOCUMENTS[(token - 1) / K] != document;
		double[] both = Arrays.copyOf(vector(this.tokens[token]), 2 * VECTOR);
		System.arraycopy(vector(first ? CONFIG.padId() : this.tokens[token - 1]), 0, both, VECTOR, VECTOR);
		return product("copy_attention.k_proj.weight", both);
	}

	/** The autoencoder's, with a mean square of 1. */
	private double[] vector(int token) {
		double[] vector = doubles(row(weight("ae_model.encoder.embed_tokens.weight"), token, VECTOR));
		double square = Arrays.stream(vector).map((value) -> value * value).average().orElseThrow();
		return Arrays.stream(vector).map((value) -> value / Math.sqrt(square + 1e-6)).toArray();
	}

	private static double[] rotated(double[] x, int position) {
		double[] rotated = new double[SIZE];
		for (int i = 0; i < SIZE / 2; i++) {
			double angle = position * Math.pow(1e4, -2.0 * i / SIZE);
			rotated[i] = x[i] * Math.cos(angle) - x[i + SIZE / 2] * Math.sin(angle);
			rotated[i + SIZE / 2] = x[i + SIZE / 2] * Math.cos(angle) + x[i] * Math.sin(angle);
		}
		return rotated;
	}

	private double[] product(String matrix, double[] x) {
		float[] values = weight(matrix);
		double[] result = new double[values.length / x.length];
		for (int row = 0; row < result.length; row++) {
			for (int i = 0; i < x.length; i++) {
				result[row] += values[row * x.length + i] * x[i];
			}
		}
		return result;
	}

	private float[] weight(String name) {
		return Objects.requireNonNull(this.weights.get(name), name);
	}

	private static float[] row(float[] matrix, int row, int width) {
		return Arrays.copyOfRange(matrix, row * width, (row + 1) * width);
	}

	private static double[] doubles(float[] values) {
		double[] doubles = new double[values.length];
		Arrays.setAll(doubles, (i) -> values[i]);
		return doubles;
	}

	private static Operand<TFloat32> states(ProgramBuilder builder, CalmNetwork network, Operand<TInt32> tokens) {
		Operand<TFloat32> states = network.embed(tokens);
		for (BackboneLayer layer : network.layers(tokens, builder.network().tf().constant(new int[][] { DOCUMENTS }))) {
			states = layer.function().apply(states);
		}
		return states;
	}

	/** Weights large enough that attention attends to something. */
	private void initialize(Program program) {
		program.write(program.variables((name) -> true), (variable) -> {
			Random random = new Random(variable.name().hashCode());
			float[] values = new float[(int) variable.size()];
			for (int i = 0; i < values.length; i++) {
				values[i] = 0.5f * (float) random.nextGaussian();
			}
			this.weights.put(variable.name(), values);
			return values;
		});
	}

}

package io.calm.model;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.function.IntUnaryOperator;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.autoencoder.Posterior;
import io.calm.graph.Call;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.head.EnergyLoss;
import org.junit.jupiter.api.Test;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

/**
 * Lead tokens are drawn as they are guessed, and what is learned is a proper score of the
 * whole patch.
 */
class LeadTokensTest {

	private static final int VOCABULARY = 6;

	private static final int WIDTH = 8;

	/** D. */
	private static final int VECTOR = 6;

	private static final int DRAWS = 60_000;

	private static final AutoencoderConfig AUTOENCODER = AutoencoderConfig.builder(VOCABULARY)
		.patchSize(3)
		.hiddenSize(VECTOR)
		.intermediateSize(8)
		.latentSize(4)
		.build();

	private static final CalmConfig CONFIG = CalmConfig.preset("nano")
		.hiddenSize(WIDTH)
		.heads(2)
		.noiseSize(5)
		.leadTokens(2)
		.build(AUTOENCODER);

	private final Map<String, float[]> weights = new HashMap<>();

	private final float[] states = normal(1, 2 * (WIDTH + 3 * VECTOR));

	/**
	 * Frequencies of pairs against P(x₁)·P(x₂ | x₁), by loops. Pairs whose second token
	 * was guessed without the first fail.
	 */
	@Test
	void areDrawnAsTheyAreGuessed() {
		int[] drawn = draw(true);
		for (int row = 0; row < 2; row++) {
			double[] counts = new double[VOCABULARY * VOCABULARY];
			for (int draw = row; draw < DRAWS; draw += 2) {
				counts[drawn[draw * 3] * VOCABULARY + drawn[draw * 3 + 1]]++;
			}
			assertThat(chiSquare(counts, probabilities(row, true))).isLessThan(66.6);
			assertThat(chiSquare(counts, probabilities(row, false))).isGreaterThan(1000);
		}
	}

	/** Draws that begin alike are computed together, and are the same. */
	@Test
	void drawsTogetherAreThoseOneByOne() {
		assertThat(draw(true)).isEqualTo(draw(false));
	}

	/**
	 * A toy: the lead token is a, b or c, the vector behind it at one of two places of
	 * its own. Of the sum of both scores, the cross entropy and the energy loss given the
	 * true token, the true distribution has the best, and each that is wrong in one
	 * respect a worse one: the tokens' shares, the places' shares, a vector between the
	 * places, a vector that does not know the token.
	 */
	@Test
	void theSumOfBothScoresIsProper() {
		double[] shares = { 0.5, 0.3, 0.2 };
		double truth = score(shares, shares, (token) -> token, 0.7, false);
		assertThat(score(shares, new double[] { 0.2, 0.3, 0.5 }, (token) -> token, 0.7, false)).isGreaterThan(truth);
		assertThat(score(shares, new double[] { 1 - 2e-3, 1e-3, 1e-3 }, (token) -> token, 0.7, false))
			.isGreaterThan(truth);
		assertThat(score(shares, shares, (token) -> token, 0.3, false)).isGreaterThan(truth);
		assertThat(score(shares, shares, (token) -> token, 1, false)).isGreaterThan(truth);
		assertThat(score(shares, shares, (token) -> token, 0.7, true)).isGreaterThan(truth);
		assertThat(score(shares, shares, (token) -> 0, 0.7, false)).isGreaterThan(truth);
	}

	/**
	 * The expected score of a model that gives tokens some shares, and the first of a
	 * token's two places {@code first}, where the truth gives it 0.7.
	 * @param between whether vectors are means of the places instead
	 */
	private static double score(double[] shares, double[] model, IntUnaryOperator known, double first,
			boolean between) {
		int n = 200;
		float[] samples = new float[2 * 3 * n];
		float[] targets = new float[2 * 3 * n];
		for (int token = 0; token < 3; token++) {
			for (int i = 0; i < n; i++) {
				int at = 2 * (token * n + i);
				place(targets, at, token, (i < 0.7 * n) ? 1 : 0);
				place(samples, at, known.applyAsInt(token), between ? first : (i < first * n) ? 1 : 0);
			}
		}
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			Ops tf = builder.network().tf();
			Input<TFloat32, float[]> x = builder.floats(3, n, 2);
			Input<TFloat32, float[]> y = builder.floats(3, n, 2);
			Fetch<float[]> energy = Fetch.floats(EnergyLoss.of(builder.network(), x.value(),
					new Posterior(tf.constant(new float[3][2]), tf.constant(new float[3][2])), y.value(), 1));
			EntryPoint all = builder.entryPoint().fetching(energy);
			try (Program program = builder.build();
					Call call = program.call(all).feed(x, samples).feed(y, targets).run()) {
				double score = 0;
				for (int token = 0; token < 3; token++) {
					score += shares[token] * (call.get(energy)[token] - Math.log(model[token]));
				}
				return score;
			}
		}
	}

	/** On a line of a token's own, between 0 and 1. */
	private static void place(float[] vectors, int at, int token, double along) {
		vectors[at] = (float) along;
		vectors[at + 1] = token;
	}

	/** Patches of two states, drawn in turn. */
	private int[] draw(boolean merged) {
		int[] owners = new int[DRAWS];
		Arrays.setAll(owners, (draw) -> draw % 2);
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			CalmNetwork network = new CalmNetwork(builder.network(), CONFIG, AUTOENCODER);
			Input<TFloat32, float[]> state = builder.floats(2, network.stateSize());
			Input<TFloat32, float[]> noise = builder.floats(-1, CONFIG.noise().size());
			Input<TInt32, int[]> owner = builder.ints(-1);
			Fetch<int[]> drawn = Fetch.ints(network.draw(state.value(), owner.value(), noise.value(), merged));
			EntryPoint draw = builder.entryPoint().fetching(drawn);
			try (Program program = builder.build()) {
				program.write(program.variables((name) -> true), (variable) -> {
					float[] values = normal(variable.name().hashCode(), (int) variable.size());
					this.weights.put(variable.name(), values);
					return values;
				});
				try (Call call = program.call(draw)
					.feed(state, this.states)
					.feed(owner, owners)
					.feed(noise, CONFIG.noise().draw(new Random(2), DRAWS))
					.run()) {
					return call.get(drawn);
				}
			}
		}
	}

	/** Of all pairs, the second with or without what the first says of it. */
	private double[] probabilities(int row, boolean following) {
		int width = WIDTH + 3 * VECTOR;
		double[] state = doubles(Arrays.copyOfRange(this.states, row * width, (row + 1) * width));
		double[] hidden = Arrays.copyOf(state, WIDTH);
		double[] guesses = product("token_head.proj.weight", hidden);
		for (int i = 0; i < guesses.length; i++) {
			guesses[i] += weight("token_head.copies")[0] * state[WIDTH + i];
		}
		double[] pairs = new double[VOCABULARY * VOCABULARY];
		double[] first = softmax(Arrays.copyOf(guesses, VECTOR));
		for (int token = 0; token < VOCABULARY; token++) {
			double[] guess = Arrays.copyOfRange(guesses, VECTOR, 2 * VECTOR);
			if (following) {
				double[] read = Arrays.copyOf(hidden, WIDTH + VECTOR);
				System.arraycopy(vector(token), 0, read, WIDTH, VECTOR);
				double[] u = biased("token_head.following.1.linears.0", read);
				Arrays.setAll(u, (i) -> u[i] / (1 + Math.exp(-u[i])));
				double[] said = biased("token_head.following.1.linears.2", u);
				Arrays.setAll(guess, (i) -> guess[i] + said[i]);
			}
			double[] second = softmax(guess);
			for (int next = 0; next < VOCABULARY; next++) {
				pairs[token * VOCABULARY + next] = first[token] * second[next];
			}
		}
		return pairs;
	}

	/** Of the likeness to each token's vector. */
	private double[] softmax(double[] guess) {
		double[] shares = new double[VOCABULARY];
		for (int token = 0; token < VOCABULARY; token++) {
			double[] vector = vector(token);
			for (int i = 0; i < VECTOR; i++) {
				shares[token] += guess[i] * vector[i] / Math.sqrt(VECTOR);
			}
			shares[token] = Math.exp(shares[token]);
		}
		double all = Arrays.stream(shares).sum();
		return Arrays.stream(shares).map((share) -> share / all).toArray();
	}

	/** The autoencoder's, with a mean square of 1. */
	private double[] vector(int token) {
		float[] table = weight("ae_model.encoder.embed_tokens.weight");
		double[] vector = doubles(Arrays.copyOfRange(table, token * VECTOR, (token + 1) * VECTOR));
		double square = Arrays.stream(vector).map((value) -> value * value).average().orElseThrow();
		return Arrays.stream(vector).map((value) -> value / Math.sqrt(square + 1e-6)).toArray();
	}

	private double[] biased(String name, double[] x) {
		double[] result = product(name + ".weight", x);
		float[] bias = weight(name + ".bias");
		Arrays.setAll(result, (i) -> result[i] + bias[i]);
		return result;
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

	private static double chiSquare(double[] counts, double[] probabilities) {
		double all = Arrays.stream(counts).sum();
		assertThat(Arrays.stream(probabilities).sum()).isCloseTo(1, within(1e-9));
		double sum = 0;
		for (int i = 0; i < counts.length; i++) {
			double expected = all * probabilities[i];
			sum += Math.pow(counts[i] - expected, 2) / expected;
		}
		return sum; // 35 degrees of freedom: 66.6 at p = 0.001
	}

	private static float[] normal(long seed, int size) {
		Random random = new Random(seed);
		float[] values = new float[size];
		for (int i = 0; i < size; i++) {
			values[i] = 0.4f * (float) random.nextGaussian();
		}
		return values;
	}

	private static double[] doubles(float[] values) {
		double[] doubles = new double[values.length];
		Arrays.setAll(doubles, (i) -> values[i]);
		return doubles;
	}

}

package io.calm.training;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.function.UnaryOperator;
import java.util.stream.Stream;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.graph.Call;
import io.calm.graph.Device;
import io.calm.graph.Draws;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Precision;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.graph.Variable;
import io.calm.graph.Variables;
import io.calm.model.BackboneLayer;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

/**
 * The gradient that is put together from parts is the gradient of the whole.
 */
class NextPatchObjectiveTest {

	private static final int BATCH = 2;

	/** Of a sequence. */
	private static final int PATCHES = 151;

	/** So that there are three slices of either part, the last one smaller. */
	private static final int ROWS = 128;

	private static final AutoencoderConfig AUTOENCODER = AutoencoderConfig.builder(40)
		.hiddenSize(16)
		.intermediateSize(32)
		.latentSize(8)
		.build();

	static Stream<CalmConfig> models() {
		return Stream.<UnaryOperator<CalmConfig.Builder>>of((shape) -> shape.energyHead((head) -> head.targets(5)),
				(shape) -> shape.energyHead((head) -> head.targets(5)).copySize(0),
				(shape) -> shape.energyHead((head) -> head.targets(5)).leadTokens(0),
				(shape) -> shape.energyHead((head) -> head.targets(5)).leadTokens(1).guessedTokens(3),
				(shape) -> shape.energyHead((head) -> head.targets(5)).copySize(0).tokenLoss(0),
				(shape) -> shape.energyHead((head) -> head.targets(5)).vectorEvery(2),
				// two sequences can be halved only
				(shape) -> shape.energyHead((head) -> head.targets(5)).vectorEvery(6),
				(shape) -> shape.flowHead((head) -> {
				}), (shape) -> shape.diffusionHead((head) -> {
				}))
			.map((head) -> head.apply(CalmConfig.preset("nano").hiddenSize(16).heads(2).headBlocks(1))
				.build(AUTOENCODER));
	}

	@ParameterizedTest
	@MethodSource("models")
	void isTheGradientOfTheWhole(CalmConfig model) {
		int[] tokens = new Random(5).ints(BATCH * PATCHES * 4L, 3, 40).toArray();
		// a document ends inside a sequence, and PAD patches fill it
		int[] documents = new int[BATCH * PATCHES];
		Arrays.fill(documents, 0, 100, 1);
		Arrays.fill(documents, 100, 140, 2);
		Arrays.fill(documents, PATCHES, 2 * PATCHES, 3);
		// of the last document, the first 50 patches are a prompt
		int[] counted = new int[BATCH * PATCHES];
		Arrays.fill(counted, 0, 140, 1);
		Arrays.fill(counted, PATCHES + 50, 2 * PATCHES, 1);
		ProgramOptions options = new ProgramOptions(Device.CPU, Precision.FP32, false);
		try (ProgramBuilder builder = new ProgramBuilder(options)) {
			Input<TInt32, int[]> tokenInput = builder.ints(BATCH * PATCHES, 4);
			Input<TInt32, int[]> documentInput = builder.ints(BATCH, PATCHES);
			Input<TInt32, int[]> countedInput = builder.ints(BATCH, PATCHES);
			Input<TInt64, long[]> seed = builder.seed();
			Ops tf = builder.network().tf();
			TrainingProgram.Objective objective = NextPatchObjective.of(builder, model, AUTOENCODER,
					new Sequences(tokenInput.value(), documentInput.value(), countedInput.value()),
					new Draws(tf, seed.value()), ROWS);
			List<Variable> parameters = builder.network().variables().select(CalmNetwork::isParameter);
			Operand<TFloat32> whole = whole(builder, model, tokenInput.value(), documents, counted,
					new Draws(tf, seed.value()));

			Fetch<float[]> loss = Fetch.floats(objective.loss());
			Fetch<float[]> wholeLoss = Fetch.floats(whole);
			List<Fetch<float[]>> gradients = fetches(objective.gradients().apply(parameters));
			List<Fetch<float[]>> wholeGradients = fetches(builder.gradients(whole, Variables.values(parameters)));
			EntryPoint both = builder.entryPoint()
				.fetching(loss, wholeLoss)
				.fetching(gradients.toArray(Fetch<?>[]::new))
				.fetching(wholeGradients.toArray(Fetch<?>[]::new));
			try (Program program = builder.build()) {
				program.initialize(program.variables((name) -> true), 3);
				// away from the head's zero layers, behind which there is no gradient
				List<Variable> output = program.variables(
						(name) -> name.matches(".*(final_layer.linears.2|final_layer.linear|adaLN_modulation.1)[.].*"));
				program.write(output, (variable) -> noise((int) variable.size()));
				try (Call call = program.call(both)
					.feed(tokenInput, tokens)
					.feed(documentInput, documents)
					.feed(countedInput, counted)
					.feed(seed, new long[] { 1, 1 })
					.run()) {
					assertThat(call.scalar(loss)).isCloseTo(call.scalar(wholeLoss), within(1e-5f));
					for (int i = 0; i < parameters.size(); i++) {
						assertSame(parameters.get(i).name(), call.get(gradients.get(i)),
								call.get(wholeGradients.get(i)));
					}
				}
			}
		}
	}

	/** The same loss in one piece, with the same draws. */
	private static Operand<TFloat32> whole(ProgramBuilder builder, CalmConfig model, Operand<TInt32> tokens,
			int[] documents, int[] counted, Draws draws) {
		Ops tf = builder.network().tf();
		CalmNetwork calm = new CalmNetwork(builder.network(), model, AUTOENCODER);
		Operand<TFloat32> states = calm.embed(tokens);
		Operand<TInt32> owners = tf.reshape(tf.constant(documents), tf.constant(new int[] { BATCH, PATCHES }));
		for (BackboneLayer layer : calm.layers(tokens, owners)) {
			states = layer.function().apply(states);
		}
		List<Integer> all = new ArrayList<>();
		List<Integer> some = new ArrayList<>();
		for (int row = 0; row < BATCH * PATCHES; row++) {
			if ((row + 1) % PATCHES != 0) {
				all.add(row);
				if (model.vectorEvery() == 1 || row < PATCHES) {
					some.add(row);
				}
			}
		}
		List<Operand<TFloat32>> losses = new ArrayList<>();
		if (model.tokenLoss() > 0) {
			for (int[] rows : slices(all)) {
				Operand<TFloat32> given = tf.gather(states, tf.constant(rows), tf.constant(0));
				losses.add(weighted(tf, calm.tokenLoss(given, next(tf, tokens, rows), draws), rows, documents, counted,
						1));
			}
		}
		for (int[] rows : slices(some)) {
			Operand<TFloat32> given = tf.gather(states, tf.constant(rows), tf.constant(0));
			Operand<TInt32> next = next(tf, tokens, rows);
			losses.add(weighted(tf, calm.vectorLoss(given, calm.posterior(next), next, draws), rows, documents, counted,
					all.size() / some.size()));
		}
		return tf.math.addN(losses);
	}

	private static List<int[]> slices(List<Integer> rows) {
		List<int[]> slices = new ArrayList<>();
		for (int from = 0; from < rows.size(); from += ROWS) {
			slices.add(rows.subList(from, Math.min(from + ROWS, rows.size()))
				.stream()
				.mapToInt(Integer::intValue)
				.toArray());
		}
		return slices;
	}

	private static Operand<TInt32> next(Ops tf, Operand<TInt32> tokens, int[] rows) {
		int[] after = Arrays.stream(rows).map((row) -> row + 1).toArray();
		Operand<TInt32> next = tf.gather(tokens, tf.constant(after), tf.constant(0));
		return tf.reshape(next, tf.constant(new int[] { rows.length, 4 }));
	}

	private static Operand<TFloat32> weighted(Ops tf, Operand<TFloat32> each, int[] rows, int[] documents,
			int[] counted, int factor) {
		float[] weights = new float[rows.length];
		for (int i = 0; i < rows.length; i++) {
			int row = rows[i];
			boolean learned = documents[row] == documents[row + 1] && documents[row + 1] != 0 && counted[row + 1] == 1;
			// 99 patches follow one of the first document, 39 one of the second, 101 of
			// the
			// answer one of the third
			weights[i] = learned ? (float) factor / (99 + 39 + 101) : 0;
		}
		return tf.sum(tf.math.mul(each, tf.constant(weights)), tf.constant(0));
	}

	private static List<Fetch<float[]>> fetches(List<Operand<TFloat32>> values) {
		return values.stream().map(Fetch::floats).toList();
	}

	private static float[] noise(int size) {
		float[] values = new float[size];
		Random random = new Random(7);
		for (int i = 0; i < size; i++) {
			values[i] = (float) random.nextGaussian() * 0.3f;
		}
		return values;
	}

	private static void assertSame(String name, float[] actual, float[] expected) {
		float largest = 0;
		float error = 0;
		for (int i = 0; i < expected.length; i++) {
			largest = Math.max(largest, Math.abs(expected[i]));
			error = Math.max(error, Math.abs(actual[i] - expected[i]));
		}
		assertThat(largest).as("gradient of " + name).isPositive();
		assertThat(error).as("error of the gradient of " + name).isLessThanOrEqualTo(1e-4f * largest);
	}

}

package io.calm.training;

import java.util.Arrays;
import java.util.List;
import java.util.Random;

import io.calm.graph.Call;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Input;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.Variable;
import io.calm.graph.Variables;
import io.calm.layer.CrossEntropy;
import io.calm.model.BackboneLayer;
import io.calm.model.BaselineConfig;
import io.calm.model.BaselineTransformer;
import io.calm.model.TinyModel;
import org.junit.jupiter.api.Test;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

/**
 * The gradient that is put together from parts is the gradient of the whole.
 */
class NextTokenObjectiveTest {

	private static final int TOKENS = 601;

	/** So large that the logits come in three slices, the last one smaller. */
	private static final BaselineConfig CONFIG = TinyModel.baseline(20_000, 0);

	@Test
	void isTheGradientOfTheWhole() {
		int[] tokens = new Random(5).ints(TOKENS, 3, 20_000).toArray();
		// a document ends inside the block, and PADs fill it
		int[] documents = new int[TOKENS];
		Arrays.fill(documents, 0, 200, 1);
		Arrays.fill(documents, 200, 580, 2);
		// of the second document, the first 80 tokens are a prompt
		int[] counted = new int[TOKENS];
		Arrays.fill(counted, 0, 200, 1);
		Arrays.fill(counted, 280, 580, 1);
		Arrays.fill(tokens, 580, TOKENS, 0);
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			Input<TInt32, int[]> tokenInput = builder.ints(TOKENS, 1);
			Input<TInt32, int[]> documentInput = builder.ints(1, TOKENS);
			Input<TInt32, int[]> countedInput = builder.ints(1, TOKENS);
			TrainingProgram.Objective objective = NextTokenObjective.of(builder, CONFIG,
					new Sequences(tokenInput.value(), documentInput.value(), countedInput.value()));
			List<Variable> parameters = builder.network().variables().select(BaselineTransformer::isParameter);
			Operand<TFloat32> whole = whole(builder, tokens, documents, counted);
			Fetch<float[]> loss = Fetch.floats(objective.loss());
			Fetch<float[]> wholeLoss = Fetch.floats(whole);
			List<Fetch<float[]>> gradients = fetches(objective.gradients().apply(parameters));
			List<Fetch<float[]>> wholeGradients = fetches(builder.gradients(whole, Variables.values(parameters)));
			EntryPoint both = builder.entryPoint()
				.fetching(loss, wholeLoss)
				.fetching(gradients.toArray(Fetch<?>[]::new))
				.fetching(wholeGradients.toArray(Fetch<?>[]::new));
			try (Program program = builder.build()) {
				program.initialize(program.variables((name) -> true), 1);
				try (Call call = program.call(both)
					.feed(tokenInput, tokens)
					.feed(documentInput, documents)
					.feed(countedInput, counted)
					.run()) {
					assertThat(call.scalar(loss)).isCloseTo(call.scalar(wholeLoss), within(1e-4f));
					for (int i = 0; i < parameters.size(); i++) {
						assertSame(parameters.get(i).name(), call.get(gradients.get(i)),
								call.get(wholeGradients.get(i)));
					}
				}
			}
		}
	}

	/** The same loss in one piece. */
	private static Operand<TFloat32> whole(ProgramBuilder builder, int[] tokens, int[] documents, int[] counted) {
		Ops tf = builder.network().tf();
		BaselineTransformer baseline = new BaselineTransformer(builder.network(), CONFIG);
		Operand<TFloat32> hidden = baseline.embed(tf.constant(tokens));
		for (BackboneLayer layer : baseline.layers(tf.constant(new int[][] { documents }))) {
			hidden = layer.function().apply(hidden);
		}
		int[] next = new int[TOKENS];
		System.arraycopy(tokens, 1, next, 0, TOKENS - 1);
		Operand<TFloat32> each = CrossEntropy.of(builder.network(), baseline.logits(hidden), tf.constant(next));
		float[] weights = new float[TOKENS];
		for (int i = 0; i < TOKENS - 1; i++) {
			// 199 tokens follow one of the first document, 300 of the answer one of the
			// second
			weights[i] = (documents[i] == documents[i + 1] && counted[i + 1] == 1) ? 1f / (199 + 300) : 0;
		}
		return tf.sum(tf.math.mul(each, tf.constant(weights)), tf.constant(0));
	}

	private static List<Fetch<float[]>> fetches(List<Operand<TFloat32>> values) {
		return values.stream().map(Fetch::floats).toList();
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

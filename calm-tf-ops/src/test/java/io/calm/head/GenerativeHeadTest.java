package io.calm.head;

import java.util.List;
import java.util.Random;
import java.util.stream.Stream;

import io.calm.autoencoder.Posterior;
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
import io.calm.training.AdamW;
import io.calm.training.OptimizerConfig;
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
 * What all heads have in common.
 */
class GenerativeHeadTest {

	private static final ProgramOptions OPTIONS = new ProgramOptions(Device.CPU, Precision.FP32, false);

	private static final int WIDTH = 32;

	private static final int STEPS = 800;

	static Stream<HeadConfig> heads() {
		return Stream.of(new EnergyConfig.Builder().noiseSize(8).targets(16).build(WIDTH, 1, 1),
				new FlowConfig.Builder().build(WIDTH, 1, 1),
				new FlowConfig.Builder().solver(Solver.EULER).steps(20).build(WIDTH, 1, 1),
				new DiffusionConfig.Builder().steps(50).build(WIDTH, 1, 1));
	}

	/**
	 * Two hidden states, two distributions: one narrow around 1, the other wide around
	 * -1.
	 */
	@ParameterizedTest
	@MethodSource("heads")
	void learnsADistribution(HeadConfig config) {
		int patches = 32;
		int drawn = 200;
		float[][] means = new float[patches][1];
		float[][] logDeviations = new float[patches][1];
		float[][] states = new float[patches][WIDTH];
		for (int i = 0; i < patches; i++) {
			boolean narrow = i % 2 == 0;
			means[i][0] = narrow ? 1 : -1;
			logDeviations[i][0] = (float) Math.log(narrow ? 0.1 : 0.5);
			states[i][narrow ? 0 : 1] = 1;
		}
		try (ProgramBuilder builder = new ProgramBuilder(OPTIONS)) {
			Ops tf = builder.network().tf();
			GenerativeHead head = config.declare(builder.network());
			List<Variable> parameters = builder.network().variables().select((name) -> true);
			Input<TInt64, long[]> seed = builder.seed();
			Operand<TFloat32> hidden = tf.constant(states);
			Operand<TFloat32> loss = tf.math.mean(head.loss(hidden,
					new Posterior(tf.constant(means), tf.constant(logDeviations)), new Draws(tf, seed.value())),
					tf.constant(0));
			Fetch<float[]> lossFetch = Fetch.floats(loss);
			AdamW optimizer = new AdamW(builder, OptimizerConfig.DEFAULT);
			List<Operand<TFloat32>> gradients = builder.gradients(loss, Variables.values(parameters));
			EntryPoint step = builder.entryPoint()
				.fetching(lossFetch)
				.changing(optimizer.step(parameters, gradients, optimizer.squaredNorms(gradients)));
			Fetch<float[]> samples = Fetch.floats(head.sample(hidden, drawn, new Draws(tf, seed.value())));
			EntryPoint sample = builder.entryPoint().fetching(samples);
			try (Program program = builder.build()) {
				program.initialize(program.variables((name) -> true), 1);
				double first = 0;
				double last = 0;
				for (int i = 0; i < STEPS; i++) {
					try (Call call = program.call(step)
						.feed(seed, new long[] { 1, i })
						.feed(optimizer.schedule(), optimizer.schedule(5e-3 * (STEPS - i) / STEPS, i + 1))
						.run()) {
						first += (i < 20) ? call.scalar(lossFetch) / 20 : 0;
						last += (i >= STEPS - 20) ? call.scalar(lossFetch) / 20 : 0;
					}
				}
				assertThat(last).as("loss after training").isLessThan(0.7 * first);
				try (Call call = program.call(sample).feed(seed, new long[] { 2, 0 }).run()) {
					float[] values = call.get(samples);
					assertMoments(values, drawn, 0, 1, 0.1);
					assertMoments(values, drawn, 1, -1, 0.5);
				}
			}
		}
	}

	/** Of the samples of every other patch, from the given one on. */
	private static void assertMoments(float[] values, int drawn, int patch, double mean, double deviation) {
		double sum = 0;
		double squares = 0;
		long count = 0;
		for (int i = 0; i < values.length; i++) {
			if (i / drawn % 2 == patch) {
				sum += values[i];
				squares += values[i] * values[i];
				count++;
			}
		}
		double actual = sum / count;
		assertThat(actual).as("mean of the samples").isCloseTo(mean, within(0.15));
		assertThat(Math.sqrt(squares / count - actual * actual)).as("deviation of the samples")
			.isCloseTo(deviation, within(0.15));
	}

	/** As the engine draws them, some for each patch, and as the evaluation does. */
	@ParameterizedTest
	@MethodSource("heads")
	void samplesDoNotDependOnHowTheyAreAskedFor(HeadConfig config) {
		int samples = 3;
		try (ProgramBuilder builder = new ProgramBuilder(OPTIONS)) {
			GenerativeHead head = config.declare(builder.network());
			Input<TFloat32, float[]> hidden = builder.floats(2, WIDTH);
			Input<TFloat32, float[]> noise = builder.floats(2 * samples, config.noise().size());
			Input<TFloat32, float[]> someNoise = builder.floats(-1, config.noise().size());
			Input<TInt32, int[]> owners = builder.ints(-1);
			Fetch<float[]> all = Fetch.floats(head.sample(hidden.value(), samples, noise.value()));
			Fetch<float[]> some = Fetch.floats(head.sample(hidden.value(), owners.value(), someNoise.value()));
			EntryPoint both = builder.entryPoint().fetching(all, some);
			try (Program program = builder.build()) {
				program.initialize(program.variables((name) -> true), 1);
				Random random = new Random(3);
				// away from the zeros that a head begins with
				program.write(program.variables((name) -> true), (variable) -> {
					float[] values = new float[(int) variable.size()];
					for (int i = 0; i < values.length; i++) {
						values[i] = (float) random.nextGaussian() * 0.2f;
					}
					return values;
				});
				float[] given = config.noise().draw(random, 2 * samples);
				float[] states = new Noise(Noise.Distribution.NORMAL, WIDTH).draw(random, 2);
				try (Call call = program.call(both)
					.feed(hidden, states)
					.feed(noise, given)
					.feed(someNoise, given)
					.feed(owners, new int[] { 0, 0, 0, 1, 1, 1 })
					.run()) {
					float[] expected = call.get(all);
					assertThat(expected).hasSize(2 * samples);
					assertThat(expected[0]).isNotCloseTo(expected[samples], within(0.01f));
					assertThat(call.get(some)).containsExactly(expected, within(1e-4f));
				}
			}
		}
	}

}

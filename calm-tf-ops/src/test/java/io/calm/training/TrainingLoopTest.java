package io.calm.training;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.function.Consumer;

import com.google.gson.JsonObject;
import com.google.gson.JsonParser;
import io.calm.autoencoder.Autoencoder;
import io.calm.autoencoder.AutoencoderConfig;
import io.calm.autoencoder.VariationalObjective;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Initializer;
import io.calm.graph.Network;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.Trace;
import io.calm.graph.Variable;
import io.calm.graph.Variables;
import io.calm.input.InvalidInputException;
import io.calm.model.TinyModel;
import io.calm.text.ByteTokenizer;
import io.calm.text.TokenBatch;
import io.calm.text.TokenStore;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import org.tensorflow.Operand;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;
import static org.assertj.core.api.Assertions.within;

class TrainingLoopTest {

	private final Path directory;

	private final List<String> events = new ArrayList<>();

	TrainingLoopTest(@TempDir Path parent) {
		this.directory = parent.resolve("model");
	}

	@AfterEach
	void leaveNoInterrupt() {
		Thread.interrupted();
	}

	@Test
	void tellsListenersInOrder() {
		train((training) -> training.steps(3).checkpointEvery(1), nothing());
		assertThat(this.events).containsExactly("start 1", "step 1", "checkpoint 1", "step 2", "checkpoint 2", "step 3",
				"checkpoint 3", "end 3");
		this.events.clear();
		train((training) -> training.steps(5).checkpointEvery(0), nothing());
		assertThat(this.events).containsExactly("start 4", "step 4", "step 5", "checkpoint 5", "end 5");
	}

	@Test
	void tellsScoresAndSamplesOfACheckpoint() {
		Evaluation scores = (checkpoint) -> Map.of("size", (double) this.directory.compareTo(checkpoint));
		Evaluation evaluation = scores.withSamples((checkpoint) -> {
			assertThat(checkpoint.resolve("model.safetensors")).isRegularFile();
			return List.of(new Sample("one", " two"));
		});
		train(1, (training) -> training.steps(3).evaluateEvery(2), nothing(), new ByteTokenizer()::save, evaluation);
		assertThat(this.events).containsExactly("start 1", "step 1", "step 2", "checkpoint 2",
				"evaluation 2 {size=0.0}", "samples 2 [Sample[prompt=one, text= two]]", "step 3", "checkpoint 3",
				"evaluation 3 {size=0.0}", "samples 3 [Sample[prompt=one, text= two]]", "end 3");
	}

	@Test
	void interruptedTrainingIsNotScored() {
		assertThatExceptionOfType(TrainingException.class)
			.isThrownBy(() -> train(1, (training) -> training.steps(4).evaluateEvery(2),
					onStep(2, () -> Thread.currentThread().interrupt()), new ByteTokenizer()::save, (checkpoint) -> {
						throw new IllegalStateException("scored");
					}))
			.withMessageContaining("interrupted after step 2");
		assertThat(this.events).endsWith("step 2", "checkpoint 2", "end 2");
	}

	@Test
	void keepsTheBestModelAndStopsWhenNoneIsBetter() throws IOException {
		// without BrierLM, Brier-1 tells: the second model is the best
		Iterator<Double> brier1 = List.of(0.1, 0.3, 0.2, 0.3).iterator();
		Map<Long, byte[]> weights = new HashMap<>();
		TrainingListener listener = new TrainingListener() {
			@Override
			public void onCheckpoint(Phase phase, long step, Path directory) {
				weights.put(step, bytes(directory));
			}

			@Override
			public void onBest(Phase phase, long step, Path directory) {
				assertThat(bytes(directory)).isEqualTo(weights.get(step));
				TrainingLoopTest.this.events.add("best " + step);
			}
		};
		train(1, (training) -> training.steps(9).evaluateEvery(1).patience(2), listener, new ByteTokenizer()::save,
				(checkpoint) -> Map.of(Evaluation.BRIER_LM, 0.0, Evaluation.BRIER_1, brier1.next()));
		assertThat(this.events).filteredOn((event) -> event.matches("(best|end) .*"))
			.containsExactly("best 1", "best 2", "end 4");
		assertThat(bytes(this.directory.resolveSibling("model.best"))).isEqualTo(weights.get(2L))
			.isNotEqualTo(weights.get(4L));
	}

	private static byte[] bytes(Path model) {
		try {
			return Files.readAllBytes(model.resolve("model.safetensors"));
		}
		catch (IOException ex) {
			throw new UncheckedIOException(ex);
		}
	}

	@Test
	void whatAListenerThrowsEndsTheTraining() {
		assertThatIllegalStateException()
			.isThrownBy(() -> train((training) -> training.steps(3).checkpointEvery(1), onStep(2, () -> {
				throw new IllegalStateException("no room in the log");
			})))
			.withMessage("no room in the log");
		assertThat(this.events).containsExactly("start 1", "step 1", "checkpoint 1", "step 2",
				"failure no room in the log");
		this.events.clear();
		train((training) -> training.steps(2), nothing());
		assertThat(this.events).startsWith("start 2");
	}

	/** An interrupt closes the files of whoever is writing, so it must be put off. */
	@ParameterizedTest
	@ValueSource(longs = { 0, 1 })
	void savesWhenInterrupted(long checkpointEvery) throws IOException {
		Consumer<TrainingOptions.Builder> options = (training) -> training.steps(4).checkpointEvery(checkpointEvery);
		assertThatExceptionOfType(TrainingException.class)
			.isThrownBy(() -> train(options, onStep(2, () -> Thread.currentThread().interrupt())))
			.withMessageContaining("interrupted after step 2")
			.withMessageContaining(this.directory.toString());
		assertThat(Thread.interrupted()).as("the interrupt flag").isTrue();
		// an interrupted training ended as it should: it did not fail
		assertThat(this.events).endsWith("checkpoint 2", "end 2");

		this.events.clear();
		train(options, nothing());
		assertThat(this.events).startsWith("start 3", "step 3");
		assertSameAsUninterrupted(4);
	}

	@Test
	void savesWhenInterruptedInTheMiddleOfACheckpoint() throws IOException {
		Consumer<TrainingOptions.Builder> options = (training) -> training.steps(4).checkpointEvery(2);
		List<Path> writes = new ArrayList<>();
		assertThatExceptionOfType(TrainingException.class).isThrownBy(() -> train(1, options, nothing(), (target) -> {
			writes.add(target);
			if (writes.size() == 1) {
				Thread.currentThread().interrupt();
			}
		})).withMessageContaining("interrupted after step 2");
		assertThat(Thread.interrupted()).as("the interrupt flag").isTrue();
		train(options, nothing());
		assertSameAsUninterrupted(4);
	}

	private void assertSameAsUninterrupted(long steps) throws IOException {
		byte[] weights = weights();
		delete();
		train((training) -> training.steps(steps), nothing());
		assertThat(weights).isEqualTo(weights());
	}

	@ParameterizedTest
	@ValueSource(ints = { 1, 2 })
	void stopsWhenNotFinite(int accumulation) throws IOException {
		train((training) -> training.steps(2).accumulation(accumulation), nothing());
		byte[] good = weights();
		this.events.clear();
		assertThatExceptionOfType(TrainingException.class).isThrownBy(
				() -> train((training) -> training.steps(9).learningRate(1e30).accumulation(accumulation), nothing()))
			.withMessageMatching(
					"The (loss|gradient of (en|de)coder\\.\\S+) is (not finite|NaN|Infinity) at step 4 of the autoencoder; .*");
		assertThat(this.events).startsWith("start 3", "step 3").hasSize(3).last().asString().startsWith("failure The ");
		assertThat(weights()).as("the last good checkpoint").isEqualTo(good);
	}

	/** The loss of the step that ruins the weights is still good. */
	@Test
	void savesNoWeightsThatAreNotFinite() throws IOException {
		train((training) -> training.steps(2), nothing());
		byte[] good = weights();
		assertThatExceptionOfType(TrainingException.class)
			.isThrownBy(() -> train((training) -> training.steps(3).learningRate(1e39), nothing()))
			.withMessageMatching("The parameter (en|de)coder\\.\\S+ is not finite after step 3 of the autoencoder; .*");
		assertThat(weights()).as("the last good checkpoint").isEqualTo(good);
	}

	@ParameterizedTest
	@CsvSource({ "seed, 1, 2", "seed, 9007199254740992, 9007199254740993", "batch, 2, 3", "patches, 8, 9",
			"accumulation, 1, 2" })
	void refusesToGoOnWithOtherOptions(String what, long saved, long given) throws IOException {
		train((training) -> training.steps(1).seed("seed".equals(what) ? saved : 1), nothing());
		byte[] good = weights();
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> train((training) -> {
			training.steps(2);
			switch (what) {
				case "seed" -> training.seed(given);
				case "batch" -> training.batch((int) given);
				case "patches" -> training.patches((int) given);
				default -> training.accumulation((int) given);
			}
		}, nothing()))
			.withMessageContaining(this.directory.toString())
			.withMessageContaining("another " + what + " (" + saved + ", now " + given + ")")
			.withMessageContaining("resume with the same " + what);
		assertThat(weights()).isEqualTo(good);
	}

	@ParameterizedTest
	@ValueSource(longs = { 9_007_199_254_740_993L, Long.MAX_VALUE, Long.MIN_VALUE, -1 })
	void goesOnWithEverySeed(long seed) {
		train((training) -> training.steps(1).seed(seed), nothing());
		List<Long> steps = new ArrayList<>();
		train((training) -> training.steps(2).seed(seed), new TrainingListener() {
			@Override
			public void onStep(StepMetrics metrics) {
				steps.add(metrics.step());
			}
		});
		assertThat(steps).containsExactly(2L);
	}

	@Test
	void tellsWhatAStepReachesOfTheMachinesSpeed() {
		Map<Long, Double> told = new TreeMap<>();
		train((training) -> training.steps(101), new TrainingListener() {
			@Override
			public void onStep(StepMetrics metrics) {
				Double share = metrics.more().get("flops_utilisation");
				if (share != null) {
					told.put(metrics.step(), share);
				}
			}
		});
		assertThat(told).containsOnlyKeys(100L, 101L);
		assertThat(told.values()).allMatch((share) -> share > 0 && share < 1);
	}

	@ParameterizedTest
	@CsvSource({ "20, 1", "2, 1", "3, 2" })
	void recordsThreeStepsAndChangesNothing(int steps, int accumulation) throws IOException {
		Consumer<TrainingOptions.Builder> options = (training) -> training.steps(steps).accumulation(accumulation);
		train(options, nothing());
		byte[] without = weights();
		delete();
		Path file = this.directory.resolveSibling("trace.json");
		train(1, options, nothing(), new ByteTokenizer()::save, Evaluation.NONE, new Trace(file));
		assertThat(weights()).isEqualTo(without);

		List<JsonObject> events = new ArrayList<>();
		JsonParser.parseString(Files.readString(file))
			.getAsJsonObject()
			.getAsJsonArray("traceEvents")
			.forEach((event) -> events.add(event.getAsJsonObject()));
		assertThat(events.get(0).getAsJsonObject("args").get("name").getAsString()).isEqualTo("autoencoder");
		// an update of its own follows the parts of a step
		int calls = Math.min(steps, 3) * ((accumulation == 1) ? 1 : accumulation + 1);
		assertThat(events).filteredOn((event) -> event.get("name").getAsString().equals("NoOp"))
			.filteredOn((event) -> event.getAsJsonObject("args").get("node").getAsString().equals("_SOURCE"))
			.hasSize(calls);
		assertThat(events).filteredOn((event) -> event.get("name").getAsString().endsWith("MatMul"))
			.isNotEmpty()
			.allSatisfy((event) -> assertThat(event.get("dur").getAsLong()).isBetween(1L, 60_000_000L));
		assertNoneAtTheSameTimeInARow(events);
	}

	private static void assertNoneAtTheSameTimeInARow(List<JsonObject> events) {
		Map<Integer, Long> ends = new HashMap<>();
		for (JsonObject event : events.subList(1, events.size())) {
			long start = event.get("ts").getAsLong();
			int row = event.get("tid").getAsInt();
			assertThat(start).isGreaterThanOrEqualTo(ends.getOrDefault(row, 0L));
			ends.put(row, start + event.get("dur").getAsLong());
		}
	}

	@Test
	void aTraceThatCannotBeWrittenIsRefusedAtOnce() throws IOException {
		Path file = this.directory.resolveSibling("none").resolve("trace.json");
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> new Trace(file))
			.withMessageContaining("trace.json cannot be written");
		Path empty = Files.createDirectory(this.directory.resolveSibling("empty"));
		assertThatExceptionOfType(InvalidInputException.class).isThrownBy(() -> new Trace(empty))
			.withMessageContaining("is a directory");
	}

	@Test
	void tellsWhatIsOtherThanBefore() {
		train((training) -> training.steps(1).warmup(0), nothing());
		PrintStream before = System.err;
		ByteArrayOutputStream told = new ByteArrayOutputStream();
		System.setErr(new PrintStream(told, true, StandardCharsets.UTF_8));
		try {
			train((training) -> training.steps(2).warmup(0).learningRate(0.25), nothing());
			train((training) -> training.steps(2).warmup(0).learningRate(0.25), nothing());
		}
		finally {
			System.setErr(before);
		}
		assertThat(told.toString(StandardCharsets.UTF_8)).containsOnlyOnce(
				"the training resumes after step 1 with other options: steps (1, now 2), learning rate (0.001, now 0.25)");
	}

	@Test
	void listenersLearnOfErrorsToo() {
		List<String> failures = new ArrayList<>();
		assertThatExceptionOfType(OutOfMemoryError.class)
			.isThrownBy(() -> train((training) -> training.steps(1), new TrainingListener() {
				@Override
				public void onStep(StepMetrics metrics) {
					throw new OutOfMemoryError("Java heap space");
				}

				@Override
				public void onFailure(Phase phase, RuntimeException failure) {
					failures.add(String.valueOf(failure.getMessage()));
				}
			}));
		assertThat(failures).singleElement().asString().contains("OutOfMemoryError: Java heap space");
	}

	@Test
	void refusesToGoOnWithOtherData() {
		train((training) -> training.steps(1), nothing());
		assertThatExceptionOfType(InvalidInputException.class)
			.isThrownBy(() -> train(2, (training) -> training.steps(2), nothing(), new ByteTokenizer()::save))
			.withMessageContaining("another data");
	}

	/**
	 * The trainers' own draws depend on the shape of a micro-batch, so noise is left out
	 * here. First moments are (1 - β1) times the clipped gradient after one step.
	 */
	@Test
	void accumulatedGradientsAreThoseOfTheWholeBatch() {
		int[] tokens = new Random(3).ints(8 * 5 * 4, 3, 259).toArray();
		StepMetrics[] metrics = new StepMetrics[2];
		List<Map<String, float[]>> moments = new ArrayList<>();
		for (int accumulation = 1; accumulation <= 2; accumulation++) {
			int size = 8 / accumulation;
			List<Share.Part> parts = new ArrayList<>();
			for (int i = 0; i < accumulation; i++) {
				parts.add(new Share.Part(accumulation + i,
						new TokenBatch(size, 5, 4, Arrays.copyOfRange(tokens, i * size * 20, (i + 1) * size * 20),
								new int[size * 5], new int[size * 5], new int[size * 5])));
			}
			TrainingOptions options = options((training) -> training.batch(size).patches(5).accumulation(parts.size()));
			try (TrainingProgram program = withoutNoise(options)) {
				program.begin();
				metrics[accumulation - 1] = program.step(Phase.AUTOENCODER, 1, parts);
				Map<String, float[]> values = new LinkedHashMap<>();
				program.program()
					.read(program.program().variables((name) -> name.startsWith(AdamW.FIRST_MOMENT)),
							(variable, array) -> values.put(variable.name(), array));
				moments.add(values);
			}
		}
		assertThat(metrics[1].loss()).isCloseTo(metrics[0].loss(), within(1e-5 * metrics[0].loss()));
		assertThat(metrics[1].gradientNorm()).isCloseTo(metrics[0].gradientNorm(),
				within(1e-5 * metrics[0].gradientNorm()));
		assertThat(moments.get(0)).isNotEmpty();
		moments.get(0).forEach((name, whole) -> {
			float[] accumulated = moments.get(1).getOrDefault(name, new float[0]);
			float largest = 0;
			for (float value : whole) {
				largest = Math.max(largest, Math.abs(value));
			}
			assertThat(largest).as(name).isPositive();
			assertThat(accumulated).as(name).containsExactly(whole, within(1e-4f * largest));
		});
	}

	private static TrainingProgram withoutNoise(TrainingOptions options) {
		AutoencoderConfig config = TinyModel.autoencoder().build();
		return TrainingProgram.build(TinyModel.PROGRAM, options, config.patchSize(), (name) -> true, (name) -> false,
				(builder, sequences, draws) -> {
					Operand<TInt32> tokens = sequences.tokens();
					Network network = builder.network();
					Ops tf = network.tf();
					int patches = (int) tokens.shape().get(0);
					Operand<TFloat32> zeros = tf.constant(new float[patches][config.latentSize()]);
					VariationalObjective objective = VariationalObjective.of(network,
							new Autoencoder(network, "", config), tokens,
							new VariationalObjective.Noise(tf.onesLike(tokens), zeros, tf.onesLike(zeros)));
					return new TrainingProgram.Objective(objective.loss(),
							(parameters) -> builder.gradients(objective.loss(), Variables.values(parameters)),
							Map.of());
				}, null);
	}

	@Test
	void onlyMatricesDecay() {
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			Ops tf = builder.network().tf();
			Variables variables = builder.network().variables();
			List<Variable> parameters = List.of(variables.declare("matrix", Initializer.ONES, 1, 2),
					variables.declare("vector", Initializer.ONES, 2));
			// without a gradient decay is all that changes anything
			List<Operand<TFloat32>> gradients = List.of(tf.constant(new float[1][2]), tf.constant(new float[2]));
			AdamW optimizer = new AdamW(builder, OptimizerConfig.DEFAULT);
			Operand<TFloat32> squaredNorms = optimizer.squaredNorms(gradients);
			EntryPoint step = builder.entryPoint()
				.fetching(Fetch.floats(squaredNorms))
				.changing(optimizer.step(parameters, gradients, squaredNorms));
			try (Program program = builder.build()) {
				program.initialize(program.variables((name) -> true), 1);
				program.call(step).feed(optimizer.schedule(), optimizer.schedule(0.5, 1)).run().close();
				Map<String, float[]> values = new LinkedHashMap<>();
				program.read(program.variables((name) -> !name.startsWith("adamw")),
						(variable, array) -> values.put(variable.name(), array));
				assertThat(values.get("matrix")).containsExactly(new float[] { 0.95f, 0.95f }, within(1e-6f));
				assertThat(values.get("vector")).containsExactly(1, 1);
			}
		}
	}

	/** A gradient of 3 in the one that learns, and a much larger one in the other. */
	@Test
	void someParametersLearnMoreSlowlyOrNotAtAll() {
		try (ProgramBuilder builder = new ProgramBuilder(TinyModel.PROGRAM)) {
			Ops tf = builder.network().tf();
			Variables variables = builder.network().variables();
			List<Variable> parameters = List.of(variables.declare("usual", Initializer.ONES, 1),
					variables.declare("slower", Initializer.ONES, 1));
			List<Operand<TFloat32>> gradients = List.of(tf.constant(new float[] { 3 }),
					tf.constant(new float[] { 400 }));
			AdamW optimizer = new AdamW(builder, OptimizerConfig.DEFAULT, "slower"::equals);
			Operand<TFloat32> squaredNorms = optimizer.squaredNorms(gradients);
			EntryPoint step = builder.entryPoint()
				.fetching(Fetch.floats(squaredNorms))
				.changing(optimizer.step(parameters, gradients, squaredNorms));
			try (Program program = builder.build()) {
				Map<String, Float> values = new LinkedHashMap<>();
				for (double slower : new double[] { 0, 0.1 }) {
					program.initialize(program.variables((name) -> true), 1);
					program.call(step).feed(optimizer.schedule(), optimizer.schedule(0.5, slower, 1)).run().close();
					program.read(program.variables((name) -> true),
							(variable, array) -> values.put(variable.name() + " " + slower, array[0]));
				}
				// the first step of Adam is as large as the learning rate
				assertThat(values.get("usual 0.0")).isCloseTo(0.5f, within(1e-5f));
				assertThat(values.get("slower 0.0")).isEqualTo(1);
				assertThat(values.get("slower 0.1")).isCloseTo(0.9f, within(1e-5f));
				// what is clipped to 1: the gradient that counts, or both together
				assertThat(values.get("adamw.m.usual 0.0")).isCloseTo(0.1f, within(1e-6f));
				assertThat(values.get("adamw.m.usual 0.1")).isCloseTo(0.1f * 3 / (float) Math.hypot(3, 400),
						within(1e-6f));
			}
		}
	}

	private static TrainingOptions options(Consumer<TrainingOptions.Builder> changes) {
		return TrainingOptions.of((training) -> {
			training.batch(2)
				.patches(8)
				.accumulation(1)
				.learningRate(1e-3)
				.warmup(0)
				.decay(LearningRate.Decay.COSINE)
				.averaging(0)
				.checkpointEvery(0)
				.evaluateEvery(0)
				.seed(1);
			changes.accept(training);
		});
	}

	/** At a constant rate, which does not depend on the number of steps. */
	private void train(Consumer<TrainingOptions.Builder> changes, TrainingListener listener) {
		train(1, changes, listener, new ByteTokenizer()::save);
	}

	private void train(long text, Consumer<TrainingOptions.Builder> changes, TrainingListener listener,
			Consumer<Path> files) {
		train(text, changes, listener, files, Evaluation.NONE);
	}

	private void train(long text, Consumer<TrainingOptions.Builder> changes, TrainingListener listener,
			Consumer<Path> files, Evaluation evaluation) {
		train(text, changes, listener, files, evaluation, null);
	}

	private void train(long text, Consumer<TrainingOptions.Builder> changes, TrainingListener listener,
			Consumer<Path> files, Evaluation evaluation, @Nullable Trace trace) {
		TrainingOptions options = options((training) -> {
			training.decay(LearningRate.Decay.CONSTANT);
			changes.accept(training);
		});
		try (TokenStore data = TinyModel.text(text)) {
			new Trainer(Trainable.autoencoder(TinyModel.autoencoder().build()), options, TinyModel.PROGRAM,
					List.of(new Events(), listener), evaluation, null, trace)
				.train(data, this.directory, files);
		}
	}

	private byte[] weights() throws IOException {
		return Files.readAllBytes(this.directory.resolve("optimizer.safetensors"));
	}

	private void delete() throws IOException {
		try (var files = Files.list(this.directory)) {
			for (Path file : files.toList()) {
				Files.delete(file);
			}
		}
	}

	private static TrainingListener nothing() {
		return new TrainingListener() {
		};
	}

	private static TrainingListener onStep(long step, Runnable action) {
		return new TrainingListener() {
			@Override
			public void onStep(StepMetrics metrics) {
				if (metrics.step() == step) {
					action.run();
				}
			}
		};
	}

	/** Writes down what a listener is told. */
	private final class Events implements TrainingListener {

		@Override
		public void onStart(TrainingStart start) {
			assertThat(start.phase()).isEqualTo(Phase.AUTOENCODER);
			assertThat(start.settings()).containsEntry("latent_size", 8);
			TrainingLoopTest.this.events.add("start " + start.firstStep());
		}

		@Override
		public void onStep(StepMetrics metrics) {
			assertThat(metrics.loss()).isFinite();
			TrainingLoopTest.this.events.add("step " + metrics.step());
		}

		@Override
		public void onEvaluation(Phase phase, long step, Map<String, Double> metrics) {
			TrainingLoopTest.this.events.add("evaluation " + step + " " + metrics);
		}

		@Override
		public void onSamples(Phase phase, long step, List<Sample> samples) {
			TrainingLoopTest.this.events.add("samples " + step + " " + samples);
		}

		@Override
		public void onCheckpoint(Phase phase, long step, Path directory) {
			assertThat(directory.resolve("model.safetensors")).isRegularFile();
			TrainingLoopTest.this.events.add("checkpoint " + step);
		}

		@Override
		public void onEnd(Phase phase, long step) {
			TrainingLoopTest.this.events.add("end " + step);
		}

		@Override
		public void onFailure(Phase phase, RuntimeException failure) {
			TrainingLoopTest.this.events.add("failure " + failure.getMessage());
		}

	}

}

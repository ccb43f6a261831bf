package io.calm.training;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.function.Predicate;

import io.calm.checkpoint.ModelDirectory;
import io.calm.checkpoint.TensorFile;
import io.calm.graph.Call;
import io.calm.graph.Draws;
import io.calm.graph.EntryPoint;
import io.calm.graph.Fetch;
import io.calm.graph.Initializer;
import io.calm.graph.Input;
import io.calm.graph.Network;
import io.calm.graph.Program;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.ProgramOptions;
import io.calm.graph.Variable;
import io.calm.model.ModelFiles;
import io.calm.text.TokenBatch;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * An objective, its gradients and the optimiser as one program: forward, backward and
 * update are a single native call, or one for each micro-batch and one for the update.
 */
final class TrainingProgram implements AutoCloseable {

	static final String AVERAGE = "average.";

	private static final String SUM = "sum.";

	private final TrainingOptions options;

	private final Program program;

	private final List<Variable> parameters;

	private final AdamW optimizer;

	private final Feeds feeds;

	private final Fetches fetches;

	/** Forward and backward; the update too, unless gradients are accumulated. */
	private final EntryPoint forward;

	private final EntryPoint update;

	private TrainingProgram(TrainingOptions options, Program program, List<Variable> parameters, AdamW optimizer,
			Feeds feeds, Fetches fetches, EntryPoint forward, EntryPoint update) {
		this.options = options;
		this.program = program;
		this.parameters = parameters;
		this.optimizer = optimizer;
		this.feeds = feeds;
		this.fetches = fetches;
		this.forward = forward;
		this.update = update;
	}

	/**
	 * What goes in: {@code tokens [B·P, K]}, {@code documents [B, P]},
	 * {@code counted [B, P]}, seed, the average's step.
	 */
	private record Feeds(Input<TInt32, int[]> tokens, Input<TInt32, int[]> documents, Input<TInt32, int[]> counted,
			Input<TInt64, long[]> seed, Input<TFloat32, float[]> averaging) {

		Sequences sequences() {
			return new Sequences(this.tokens.value(), this.documents.value(), this.counted.value());
		}

	}

	/** What comes out. */
	private record Fetches(Fetch<float[]> loss, Map<String, Fetch<float[]>> metrics, Fetch<float[]> squaredNorms) {
	}

	/**
	 * What is minimised.
	 *
	 * @param loss a scalar
	 * @param gradients with respect to some parameters, in their order
	 * @param metrics further scalars, by name
	 */
	record Objective(Operand<TFloat32> loss, Function<List<Variable>, List<Operand<TFloat32>>> gradients,
			Map<String, Operand<TFloat32>> metrics) {
	}

	/** Builds an objective. */
	interface ObjectiveFactory {

		Objective build(ProgramBuilder builder, Sequences sequences, Draws draws);

	}

	static TrainingProgram build(ProgramOptions programOptions, TrainingOptions options, int patchSize,
			Predicate<String> trained, ObjectiveFactory factory) {
		try (ProgramBuilder builder = new ProgramBuilder(programOptions)) {
			Network network = builder.network();
			Ops tf = network.tf();
			Feeds feeds = new Feeds(builder.ints((long) options.batch() * options.patches(), patchSize),
					builder.ints(options.batch(), options.patches()), builder.ints(options.batch(), options.patches()),
					builder.seed(), builder.floats());
			Objective objective = factory.build(builder, feeds.sequences(), new Draws(tf, feeds.seed().value()));
			Fetch<float[]> loss = Fetch.floats(objective.loss());
			Map<String, Fetch<float[]>> metrics = new LinkedHashMap<>();
			objective.metrics().forEach((name, value) -> metrics.put(name, Fetch.floats(value)));
			EntryPoint forward = builder.entryPoint()
				.fetching(loss)
				.fetching(metrics.values().toArray(Fetch<?>[]::new));

			List<Variable> parameters = network.variables().select(trained);
			List<Operand<TFloat32>> gradients = objective.gradients().apply(parameters);
			EntryPoint update = forward;
			List<Variable> sums = List.of();
			if (options.accumulation() > 1) {
				sums = alongside(network, SUM, parameters, Initializer.ZEROS);
				forward.changing(add(tf, sums, gradients));
				gradients = mean(tf, sums, options.accumulation());
				update = builder.entryPoint();
			}
			AdamW optimizer = new AdamW(builder, options.optimizer());
			Operand<TFloat32> squaredNorms = optimizer.squaredNorms(gradients);
			Fetch<float[]> norms = Fetch.floats(squaredNorms);
			List<Op> steps = optimizer.step(parameters, gradients, squaredNorms);
			update.fetching(norms).changing(steps).changing(clear(tf, sums, steps));
			if (options.averaging() > 0) {
				List<Variable> averages = alongside(network, AVERAGE, parameters, Initializer.ZEROS);
				update.changing(average(tf, parameters, averages, steps, feeds.averaging().value()));
			}
			return new TrainingProgram(options, builder.build(), parameters, optimizer, feeds,
					new Fetches(loss, metrics, norms), forward, update);
		}
	}

	/** A variable of the same shape for each parameter. */
	private static List<Variable> alongside(Network network, String prefix, List<Variable> parameters,
			Initializer initializer) {
		return parameters.stream()
			.map((parameter) -> network.variables().declare(prefix + parameter.name(), initializer, parameter.shape()))
			.toList();
	}

	private static List<Operand<TFloat32>> mean(Ops tf, List<Variable> sums, int count) {
		List<Operand<TFloat32>> means = new ArrayList<>();
		sums.forEach((sum) -> means.add(tf.math.mul(sum.value(), tf.constant(1f / count))));
		return means;
	}

	private static List<Op> add(Ops tf, List<Variable> sums, List<Operand<TFloat32>> gradients) {
		List<Op> operations = new ArrayList<>();
		for (int i = 0; i < sums.size(); i++) {
			operations.add(tf.assignAddVariableOp(sums.get(i).handle(), gradients.get(i)));
		}
		return operations;
	}

	/** {@code average += (parameter − average) · share}, after the step. */
	private static List<Op> average(Ops tf, List<Variable> parameters, List<Variable> averages, List<Op> steps,
			Operand<TFloat32> share) {
		List<Op> operations = new ArrayList<>();
		for (int i = 0; i < parameters.size(); i++) {
			Variable average = averages.get(i);
			Ops after = tf.withControlDependencies(steps.get(i));
			Operand<TFloat32> distance = after.math
				.sub(after.readVariableOp(parameters.get(i).handle(), TFloat32.class), average.value());
			operations.add(after.assignAddVariableOp(average.handle(), after.math.mul(distance, share)));
		}
		return operations;
	}

	private static List<Op> clear(Ops tf, List<Variable> sums, List<Op> steps) {
		List<Op> operations = new ArrayList<>();
		for (int i = 0; i < sums.size(); i++) {
			Ops after = tf.withControlDependencies(steps.get(i));
			operations.add(after.assignVariableOp(sums.get(i).handle(),
					after.fill(after.constant(sums.get(i).shape()), after.constant(0f))));
		}
		return operations;
	}

	/**
	 * One optimiser step.
	 * @param phase for the metrics
	 * @param step counted from 1
	 * @param batches as many as micro-batches
	 * @return the metrics
	 * @throws TrainingException if the loss or a gradient is not finite
	 */
	StepMetrics step(Phase phase, long step, List<TokenBatch> batches) {
		long start = System.nanoTime();
		double rate = this.options.learningRate().at(step, this.options.steps());
		boolean atOnce = this.forward == this.update;
		double share = 1.0 / batches.size();
		double loss = 0;
		Map<String, Double> metrics = new LinkedHashMap<>();
		float[] squaredNorms = new float[0];
		for (int i = 0; i < batches.size(); i++) {
			try (Call call = this.program.call(this.forward)) {
				call.feed(this.feeds.tokens(), batches.get(i).tokens())
					.feed(this.feeds.documents(), batches.get(i).documents())
					.feed(this.feeds.counted(), batches.get(i).counted())
					.feed(this.feeds.seed(), new long[] { this.options.seed(), step * batches.size() + i });
				if (atOnce) {
					feedSchedule(call, rate, step);
				}
				call.run();
				loss += share * call.scalar(this.fetches.loss());
				this.fetches.metrics()
					.forEach((name, fetch) -> metrics.merge(name, share * call.scalar(fetch), Double::sum));
				if (atOnce) {
					squaredNorms = call.get(this.fetches.squaredNorms());
				}
			}
			if (!Double.isFinite(loss)) {
				throw new TrainingException("The loss is " + loss + " at step " + step + " of the " + phase
						+ "; lower the learning rate and resume from the last checkpoint");
			}
		}
		if (!atOnce) {
			try (Call call = feedSchedule(this.program.call(this.update), rate, step).run()) {
				squaredNorms = call.get(this.fetches.squaredNorms());
			}
		}
		double norm = Math.sqrt(finiteSum(phase, step, squaredNorms));
		double seconds = (System.nanoTime() - start) / 1e9;
		long tokens = batches.stream().mapToLong((batch) -> batch.tokens().length).sum();
		return new StepMetrics(phase, step, this.options.steps(), loss, rate, norm, seconds * 1e3, tokens / seconds,
				metrics);
	}

	private Call feedSchedule(Call call, double rate, long step) {
		call.feed(this.optimizer.schedule(), this.optimizer.schedule(rate, step));
		if (this.options.averaging() > 0) {
			// a young average forgets its first values faster
			double decay = Math.min(this.options.averaging(), (1.0 + step) / (10.0 + step));
			call.feed(this.feeds.averaging(), new float[] { (float) (1 - decay) });
		}
		return call;
	}

	private double finiteSum(Phase phase, long step, float[] squaredNorms) {
		double sum = 0;
		for (int i = 0; i < squaredNorms.length; i++) {
			if (!Float.isFinite(squaredNorms[i])) {
				throw new TrainingException(
						"The gradient of " + this.parameters.get(i).name() + " is not finite at step " + step
								+ " of the " + phase + "; lower the learning rate and resume from the last checkpoint");
			}
			sum += squaredNorms[i];
		}
		return sum;
	}

	/**
	 * A finite loss and finite gradients may still have made weights that are not.
	 * @param phase for the error
	 * @param step just done
	 * @throws TrainingException if a parameter is not finite
	 */
	void checkFinite(Phase phase, long step) {
		this.program.read(this.parameters, (variable, values) -> {
			for (float value : values) {
				if (!Float.isFinite(value)) {
					throw new TrainingException("The parameter " + variable.name() + " is not finite after step " + step
							+ " of the " + phase + "; lower the learning rate and resume from the last checkpoint");
				}
			}
		});
	}

	Program program() {
		return this.program;
	}

	/** What is trained, in the order of declaration. */
	List<Variable> parameters() {
		return this.parameters;
	}

	/** The moments, and the averages where there are any. */
	List<Variable> optimizerState() {
		return this.program.variables((name) -> name.startsWith(AdamW.FIRST_MOMENT)
				|| name.startsWith(AdamW.SECOND_MOMENT) || name.startsWith(AVERAGE));
	}

	/**
	 * Sets everything to its first value; the averages begin at the parameters.
	 * @param base the directory of a model of the same shape whose weights are the first
	 * values of the parameters; null for random ones
	 */
	void begin(@Nullable Path base) {
		this.program.initialize(this.program.variables((name) -> true), this.options.seed());
		if (base != null) {
			try (TensorFile weights = ModelDirectory.open(base).weights()) {
				ModelFiles.load(this.program, this.parameters, base, weights);
			}
		}
		averagesFromParameters();
	}

	private void averagesFromParameters() {
		if (this.options.averaging() == 0) {
			return;
		}
		Map<String, float[]> values = new LinkedHashMap<>();
		this.program.read(this.parameters, (variable, array) -> values.put(AVERAGE + variable.name(), array));
		this.program.write(this.program.variables(values::containsKey),
				(variable) -> values.getOrDefault(variable.name(), new float[0]));
	}

	@Override
	public void close() {
		this.program.close();
	}

}

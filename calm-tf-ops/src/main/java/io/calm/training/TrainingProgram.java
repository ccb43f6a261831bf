package io.calm.training;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import java.util.function.Function;
import java.util.function.Predicate;
import java.util.zip.CRC32C;

import io.calm.cluster.Cluster;
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
import io.calm.graph.Variables;
import io.calm.graph.WorkerServer;
import org.jspecify.annotations.Nullable;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TFloat64;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.TInt64;

/**
 * An objective, its gradients and the optimiser as one program: forward, backward and
 * update are a single native call, or one for each micro-batch and one for the update.
 * Among other workers, the last micro-batch's call adds gradients up over all while it
 * computes others, and updates.
 */
final class TrainingProgram implements AutoCloseable {

	static final String AVERAGE = "average.";

	private static final String SUM = "sum.";

	private static final String LOSS = "loss";

	private final TrainingOptions options;

	private final Share share;

	private final Program program;

	private final List<Variable> parameters;

	private final AdamW optimizer;

	private final Feeds feeds;

	private final Fetches fetches;

	/**
	 * Forward and backward; the update too if there is nothing to add gradients to
	 * before.
	 */
	private final EntryPoint forward;

	/**
	 * The update. Among other workers, it is that of the last part, with forward and
	 * backward.
	 */
	private final EntryPoint update;

	/** Sets the averages, if there are any. */
	private final EntryPoint averagesFromParameters;

	/** Null for a worker alone. */
	private final @Nullable Sharing sharing;

	private boolean interrupted;

	private TrainingProgram(TrainingOptions options, Share share, Program program, List<Variable> parameters,
			AdamW optimizer, Feeds feeds, Fetches fetches, EntryPoint forward, EntryPoint update,
			EntryPoint averagesFromParameters, @Nullable Sharing sharing) {
		this.options = options;
		this.share = share;
		this.program = program;
		this.parameters = parameters;
		this.optimizer = optimizer;
		this.feeds = feeds;
		this.fetches = fetches;
		this.forward = forward;
		this.update = update;
		this.averagesFromParameters = averagesFromParameters;
		this.sharing = sharing;
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
	 * What a worker among others adds up with them.
	 *
	 * @param cluster the workers
	 * @param earlier where the sums of the parts before the last go in: loss, metrics,
	 * and whether the worker was interrupted
	 * @param numbers the same of all parts and workers
	 * @param waited seconds between the last of the own gradients and the last sum
	 */
	private record Sharing(Cluster cluster, Input<TFloat32, float[]> earlier, Fetch<float[]> numbers,
			Fetch<float[]> waited) {

		/**
		 * @param last metrics of the last part, each with its weight in the step
		 * @param own gradients of this worker
		 * @param sums of all workers
		 */
		static Sharing of(ProgramBuilder builder, Cluster cluster, List<Operand<TFloat32>> last,
				List<Operand<TFloat32>> own, List<Operand<TFloat32>> sums) {
			Ops tf = builder.network().tf();
			List<Operand<TFloat32>> numbers = new ArrayList<>(last);
			numbers.add(tf.constant(0f));
			Input<TFloat32, float[]> earlier = builder.floats(numbers.size());
			Operand<TFloat32> all = cluster.sum(builder, tf.math.add(earlier.value(), tf.stack(numbers)));
			Operand<TFloat64> computed = after(tf, own).timestamp();
			Operand<TFloat64> come = after(tf, sums).timestamp();
			return new Sharing(cluster, earlier, Fetch.floats(all),
					Fetch.floats(tf.dtypes.cast(tf.math.sub(come, computed), TFloat32.class)));
		}

		private static Ops after(Ops tf, List<Operand<TFloat32>> values) {
			return tf.withControlDependencies(values.stream().<Op>map((value) -> value).toList());
		}

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
			Predicate<String> trained, Predicate<String> backbone, ObjectiveFactory factory,
			@Nullable Cluster cluster) {
		Share share = Share.of(options, (cluster != null) ? cluster.workers() : null);
		try (ProgramBuilder builder = new ProgramBuilder(programOptions)) {
			Network network = builder.network();
			Ops tf = network.tf();
			Feeds feeds = new Feeds(builder.ints((long) share.rows() * options.patches(), patchSize),
					builder.ints(share.rows(), options.patches()), builder.ints(share.rows(), options.patches()),
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
			Sharing sharing = null;
			if (share.ownParts() > 1) {
				sums = alongside(network, SUM, parameters, Initializer.ZEROS);
				forward.changing(add(tf, sums, gradients));
			}
			if (cluster != null) {
				List<Operand<TFloat32>> own = (share.ownParts() > 1)
						? plus(WorkerServer.scope(builder), Variables.values(sums), gradients) : gradients;
				List<Operand<TFloat32>> numbers = new ArrayList<>(List.of(objective.loss()));
				numbers.addAll(objective.metrics().values());
				gradients = sums(builder, cluster, own);
				sharing = Sharing.of(builder, cluster, mean(tf, numbers, share.parts()), own, gradients);
				update = builder.entryPoint().fetching(sharing.numbers(), sharing.waited());
			}
			else if (share.parts() > 1) {
				gradients = Variables.values(sums);
				update = builder.entryPoint();
			}
			if (share.parts() > 1) {
				gradients = mean(tf, gradients, share.parts());
			}
			AdamW optimizer = options.backboneRate().equals(BackboneRate.SAME) ? new AdamW(builder, options.optimizer())
					: new AdamW(builder, options.optimizer(), backbone);
			Operand<TFloat32> squaredNorms = optimizer.squaredNorms(gradients);
			Fetch<float[]> norms = Fetch.floats(squaredNorms);
			List<Op> steps = optimizer.step(parameters, gradients, squaredNorms);
			update.fetching(norms).changing(steps).changing(clear(tf, sums, steps));
			EntryPoint averagesFromParameters = builder.entryPoint();
			if (options.averaging() > 0) {
				List<Variable> averages = alongside(network, AVERAGE, parameters, Initializer.ZEROS);
				update.changing(average(tf, parameters, averages, steps, feeds.averaging().value()));
				averagesFromParameters.changing(assign(tf, averages, parameters));
			}
			Program program = (cluster != null) ? cluster.open(builder) : builder.build();
			return new TrainingProgram(options, share, program, parameters, optimizer, feeds,
					new Fetches(loss, metrics, norms), forward, update, averagesFromParameters, sharing);
		}
	}

	/** A variable of the same shape for each parameter. */
	private static List<Variable> alongside(Network network, String prefix, List<Variable> parameters,
			Initializer initializer) {
		return parameters.stream()
			.map((parameter) -> network.variables().declare(prefix + parameter.name(), initializer, parameter.shape()))
			.toList();
	}

	private static List<Operand<TFloat32>> mean(Ops tf, List<Operand<TFloat32>> sums, int count) {
		List<Operand<TFloat32>> means = new ArrayList<>();
		sums.forEach((sum) -> means.add(tf.math.mul(sum, tf.constant(1f / count))));
		return means;
	}

	/**
	 * Sums over all workers, in the order of the parameters. What the way back comes to
	 * first was declared last.
	 */
	private static List<Operand<TFloat32>> sums(ProgramBuilder builder, Cluster cluster, List<Operand<TFloat32>> own) {
		List<Operand<TFloat32>> order = new ArrayList<>(own);
		Collections.reverse(order);
		List<Operand<TFloat32>> sums = new ArrayList<>(cluster.sums(builder, order));
		Collections.reverse(sums);
		return sums;
	}

	private static List<Operand<TFloat32>> plus(Ops tf, List<Operand<TFloat32>> sums,
			List<Operand<TFloat32>> gradients) {
		List<Operand<TFloat32>> added = new ArrayList<>();
		for (int i = 0; i < sums.size(); i++) {
			added.add(tf.math.add(sums.get(i), gradients.get(i)));
		}
		return added;
	}

	private static List<Op> add(Ops tf, List<Variable> sums, List<Operand<TFloat32>> gradients) {
		List<Op> operations = new ArrayList<>();
		for (int i = 0; i < sums.size(); i++) {
			operations.add(tf.assignAddVariableOp(sums.get(i).handle(), gradients.get(i)));
		}
		return operations;
	}

	private static List<Op> assign(Ops tf, List<Variable> variables, List<Variable> values) {
		List<Op> operations = new ArrayList<>();
		for (int i = 0; i < variables.size(); i++) {
			operations.add(tf.assignVariableOp(variables.get(i).handle(), values.get(i).value()));
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
	 * @param parts of the step that this worker computes
	 * @return the metrics
	 * @throws TrainingException if the loss or a gradient is not finite
	 * @throws io.calm.cluster.LostWorkerException if another worker has gone
	 */
	StepMetrics step(Phase phase, long step, List<Share.Part> parts) {
		long start = System.nanoTime();
		double rate = this.options.learningRate().at(step, this.options.steps());
		Map<String, Double> metrics = new LinkedHashMap<>();
		metrics.put(LOSS, 0.0);
		float[] squaredNorms = new float[0];
		Share.Part last = parts.get(parts.size() - 1);
		for (Share.Part part : parts) {
			squaredNorms = (this.sharing != null && part == last) ? together(this.sharing, part, rate, step, metrics)
					: forward(part, rate, step, metrics);
			if (this.sharing == null || part == last) {
				checkLoss(phase, step, metrics);
			}
		}
		if (this.sharing == null && this.forward != this.update) {
			try (Call call = feedSchedule(this.program.call(this.update), rate, step).run()) {
				squaredNorms = call.get(this.fetches.squaredNorms());
			}
		}
		double norm = Math.sqrt(finiteSum(phase, step, squaredNorms));
		double seconds = (System.nanoTime() - start) / 1e9;
		double loss = metrics.remove(LOSS);
		// of all workers
		double tokens = (double) this.share.parts() * parts.get(0).batch().tokens().length;
		return new StepMetrics(phase, step, this.options.steps(), loss, rate, norm, seconds * 1e3, tokens / seconds,
				metrics);
	}

	/**
	 * Forward and backward for a part, and the update if there is only this one.
	 * @param metrics to which those of the part are added
	 * @return the squared norms of an update; else nothing
	 */
	private float[] forward(Share.Part part, double rate, long step, Map<String, Double> metrics) {
		double weight = 1.0 / this.share.parts();
		try (Call call = feedPart(this.program.call(this.forward), part)) {
			boolean atOnce = this.forward == this.update;
			if (atOnce) {
				feedSchedule(call, rate, step);
			}
			call.run();
			metrics.merge(LOSS, weight * call.scalar(this.fetches.loss()), Double::sum);
			this.fetches.metrics()
				.forEach((name, fetch) -> metrics.merge(name, weight * call.scalar(fetch), Double::sum));
			return atOnce ? call.get(this.fetches.squaredNorms()) : new float[0];
		}
	}

	/**
	 * Forward and backward for the last part of this worker; adds gradients and metrics
	 * up over all workers, and updates.
	 * @return the squared norms
	 */
	private float[] together(Sharing among, Share.Part part, double rate, long step, Map<String, Double> metrics) {
		List<String> names = new ArrayList<>(List.of(LOSS));
		names.addAll(this.fetches.metrics().keySet());
		float[] numbers = new float[names.size() + 1];
		for (int i = 0; i < names.size(); i++) {
			numbers[i] = metrics.getOrDefault(names.get(i), 0.0).floatValue();
		}
		numbers[names.size()] = Thread.currentThread().isInterrupted() ? 1 : 0;
		try (Call call = feedSchedule(feedPart(this.program.call(this.update), part), rate, step)) {
			among.cluster().run(this.program, call.feed(among.earlier(), numbers));
			float[] totals = call.get(among.numbers());
			for (int i = 0; i < names.size(); i++) {
				metrics.put(names.get(i), (double) totals[i]);
			}
			this.interrupted = totals[names.size()] > 0;
			metrics.put("reduction_milliseconds", call.scalar(among.waited()) * 1e3);
			return call.get(this.fetches.squaredNorms());
		}
	}

	private Call feedPart(Call call, Share.Part part) {
		return call.feed(this.feeds.tokens(), part.batch().tokens())
			.feed(this.feeds.documents(), part.batch().documents())
			.feed(this.feeds.counted(), part.batch().counted())
			.feed(this.feeds.seed(), new long[] { this.options.seed(), part.number() });
	}

	/**
	 * Whether the training is to stop. Several workers stop after the same step, in which
	 * one of them was interrupted.
	 */
	boolean isInterrupted() {
		return (this.sharing != null) ? this.interrupted : Thread.currentThread().isInterrupted();
	}

	private static void checkLoss(Phase phase, long step, Map<String, Double> metrics) {
		double loss = metrics.getOrDefault(LOSS, 0.0);
		if (!Double.isFinite(loss)) {
			throw new TrainingException("The loss is " + loss + " at step " + step + " of the " + phase
					+ "; lower the learning rate and resume from the last checkpoint");
		}
	}

	private Call feedSchedule(Call call, double rate, long step) {
		call.feed(this.optimizer.schedule(),
				this.optimizer.schedule(rate, this.options.backboneRate().at(step, rate), step));
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

	/** Tells the weights and the optimiser's state from others. */
	long digest() {
		CRC32C checksum = new CRC32C();
		List<Variable> all = new ArrayList<>(this.parameters);
		all.addAll(optimizerState());
		this.program.read(all, (variable, values) -> {
			ByteBuffer bytes = ByteBuffer.allocate(1 << 16);
			for (int from = 0; from < values.length; from += bytes.capacity() / Float.BYTES) {
				int count = Math.min(values.length - from, bytes.capacity() / Float.BYTES);
				bytes.clear().asFloatBuffer().put(values, from, count);
				checksum.update(bytes.limit(count * Float.BYTES));
			}
		});
		return checksum.getValue();
	}

	Share share() {
		return this.share;
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

	/** Sets everything to its first value, which is random. */
	void begin() {
		begin((weights, variables) -> {
		});
	}

	/**
	 * Sets everything to its first value; the averages begin at the parameters.
	 * @param known sets the parameters of which something is known; all are random before
	 */
	void begin(BiConsumer<Program, List<Variable>> known) {
		this.program.initialize(this.program.variables((name) -> true), this.options.seed());
		known.accept(this.program, this.parameters);
		if (this.options.averaging() > 0) {
			this.program.call(this.averagesFromParameters).run().close();
		}
	}

	@Override
	public void close() {
		if (this.sharing != null) {
			this.sharing.cluster().close(this.program);
		}
		else {
			this.program.close();
		}
	}

}

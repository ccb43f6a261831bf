package io.calm.training;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;

import io.calm.autoencoder.AutoencoderConfig;
import io.calm.autoencoder.Posterior;
import io.calm.graph.Draws;
import io.calm.graph.Network;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.Variable;
import io.calm.graph.Variables;
import io.calm.model.CalmConfig;
import io.calm.model.CalmNetwork;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.math.Add;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TNumber;

/**
 * What a CALM language model learns: the mean loss of the head over all patches that can
 * be predicted. Its gradients are put together from parts so that a step needs little
 * memory:
 * <ul>
 * <li>The head computes N samples per patch, but patches do not meet in it. It runs
 * forward and backward for some of them at a time: the same arithmetic, small enough for
 * the caches.</li>
 * <li>Of the backbone only the input of each layer is kept; the way back computes what
 * lies inside a layer again (Chen et al., arXiv 1604.06174).</li>
 * </ul>
 */
final class NextPatchObjective {

	/** Rows of the head, patches times samples, that are computed together. */
	private static final int ROWS = 1024;

	private final ProgramBuilder builder;

	private final Network network;

	private final Ops tf;

	private final CalmNetwork calm;

	private final Map<String, Operand<TFloat32>> gradients = new HashMap<>();

	private NextPatchObjective(ProgramBuilder builder, CalmNetwork calm) {
		this.builder = builder;
		this.network = builder.network();
		this.tf = this.network.tf();
		this.calm = calm;
	}

	static TrainingProgram.Objective of(ProgramBuilder builder, CalmConfig config, AutoencoderConfig autoencoder,
			Operand<TInt32> tokens, Operand<TInt32> documents, Draws draws) {
		return new NextPatchObjective(builder, new CalmNetwork(builder.network(), config, autoencoder)).build(tokens,
				documents, draws);
	}

	private TrainingProgram.Objective build(Operand<TInt32> tokens, Operand<TInt32> documents, Draws draws) {
		int batch = (int) documents.shape().get(0);
		int patches = (int) documents.shape().get(1);
		int size = (int) tokens.shape().get(1);
		int width = this.calm.config().backbone().hiddenSize();
		int count = batch * (patches - 1);

		List<CalmNetwork.Layer> layers = this.calm.layers(documents);
		List<Operand<TFloat32>> states = new ArrayList<>(List.of(this.calm.embed(tokens)));
		layers.forEach((layer) -> states.add(layer.function().apply(states.get(states.size() - 1))));
		Operand<TFloat32> hidden = states.get(layers.size()); // [B·P, d]

		// the hidden state of patch i predicts patch i + 1
		Operand<TFloat32> before = reshape(span(reshape(hidden, batch, patches, width), 0, patches - 1), count, width);
		Operand<TInt32> next = reshape(span(reshape(tokens, batch, patches, size), 1, patches - 1), count, size);
		List<Operand<TFloat32>> losses = new ArrayList<>();
		Operand<TFloat32> gradient = head(before, this.calm.posterior(next), weights(documents), draws, losses);
		gradient = this.builder.gradientsThrough(before, gradient, List.of(hidden)).get(0);
		for (int i = layers.size() - 1; i >= 0; i--) {
			// computed again, and not before it is needed
			Operand<TFloat32> input = this.tf.withControlDependencies(this.tf.identity(gradient))
				.identity(states.get(i));
			CalmNetwork.Layer layer = layers.get(i);
			gradient = back(layer.function().apply(input), gradient, (name) -> name.startsWith(layer.prefix()),
					List.of(input))
				.get(0);
		}
		back(states.get(0), gradient, CalmNetwork::isEmbeddingParameter, List.of());
		return new TrainingProgram.Objective(this.tf.math.addN(losses),
				(parameters) -> parameters.stream()
					.map((parameter) -> Objects.requireNonNull(this.gradients.get(parameter.name()), parameter.name()))
					.toList(),
				Map.of());
	}

	/**
	 * The head, forward and backward, some patches at a time.
	 * @param hidden {@code [count, d]}
	 * @param losses takes the parts of the mean loss
	 * @return the gradient of the hidden states {@code [count, d]}
	 */
	private Operand<TFloat32> head(Operand<TFloat32> hidden, Posterior posterior, Operand<TFloat32> weights,
			Draws draws, List<Operand<TFloat32>> losses) {
		List<Variable> parameters = this.network.variables().select(CalmNetwork::isHeadParameter);
		List<Operand<TFloat32>> hiddenGradients = new ArrayList<>();
		int count = (int) hidden.shape().get(0);
		int step = Math.max(1, ROWS / this.calm.config().head().samples());
		List<Op> previous = List.of();
		for (int from = 0; from < count; from += step) {
			int rows = Math.min(step, count - from);
			Operand<TFloat32> some = this.tf.withControlDependencies(previous).identity(rows(hidden, from, rows));
			Posterior target = new Posterior(rows(posterior.mean(), from, rows),
					rows(posterior.logDeviation(), from, rows));
			Operand<TFloat32> each = this.calm.head().loss(some, target, draws.after(previous)); // [rows]
			Operand<TFloat32> loss = this.tf.sum(this.tf.math.mul(each, rows(weights, from, rows)),
					this.tf.constant(0));
			losses.add(loss);
			List<Operand<TFloat32>> with = new ArrayList<>(Variables.values(parameters));
			with.add(some);
			List<Operand<TFloat32>> parts = this.builder.gradients(loss, with);
			// summed as they come, so that only the sum has to be kept
			List<Op> sums = new ArrayList<>();
			for (int i = 0; i < parameters.size(); i++) {
				Add<TFloat32> sum = this.tf.math
					.add(this.gradients.getOrDefault(parameters.get(i).name(), this.tf.constant(0f)), parts.get(i));
				this.gradients.put(parameters.get(i).name(), sum);
				sums.add(sum);
			}
			hiddenGradients.add(parts.get(parameters.size()));
			previous = sums;
		}
		// TensorFlow concatenates no less than two
		return (hiddenGradients.size() == 1) ? hiddenGradients.get(0)
				: this.tf.concat(hiddenGradients, this.tf.constant(0));
	}

	/**
	 * Takes a gradient through a part with parameters of its own to the part's inputs.
	 */
	private List<Operand<TFloat32>> back(Operand<TFloat32> output, Operand<TFloat32> gradient, Predicate<String> own,
			List<Operand<TFloat32>> inputs) {
		List<Variable> parameters = this.network.variables().select(own);
		List<Operand<TFloat32>> with = new ArrayList<>(Variables.values(parameters));
		with.addAll(inputs);
		List<Operand<TFloat32>> parts = this.builder.gradientsThrough(output, gradient, with);
		for (int i = 0; i < parameters.size(); i++) {
			this.gradients.put(parameters.get(i).name(), parts.get(i));
		}
		return parts.subList(parameters.size(), parts.size());
	}

	/**
	 * What each patch but the first of a sequence counts in the mean. It is a target if
	 * the patch before it is of the same document: PAD is no target, and the beginning of
	 * a document cannot be known.
	 */
	private Operand<TFloat32> weights(Operand<TInt32> documents) {
		int batch = (int) documents.shape().get(0);
		int patches = (int) documents.shape().get(1);
		Operand<TInt32> sequences = reshape(documents, batch, patches, 1);
		Operand<TInt32> before = span(sequences, 0, patches - 1);
		Operand<TInt32> next = span(sequences, 1, patches - 1);
		Operand<TFloat32> same = this.tf.dtypes.cast(this.tf.math.equal(before, next), TFloat32.class);
		Operand<TFloat32> real = this.tf.dtypes.cast(this.tf.math.notEqual(next, this.tf.constant(0)), TFloat32.class);
		Operand<TFloat32> targets = reshape(this.tf.math.mul(same, real), batch * (patches - 1));
		Operand<TFloat32> count = this.tf.math.maximum(this.tf.sum(targets, this.tf.constant(0)), this.tf.constant(1f));
		return this.tf.math.div(targets, count);
	}

	private <T extends TNumber> Operand<T> reshape(Operand<T> values, int... shape) {
		return this.tf.reshape(values, this.tf.constant(shape));
	}

	/** {@code [B, P, n]} to {@code [B, count, n]}. */
	private <T extends TNumber> Operand<T> span(Operand<T> sequences, int from, int count) {
		int[] size = { (int) sequences.shape().get(0), count, (int) sequences.shape().get(2) };
		return this.tf.slice(sequences, this.tf.constant(new int[] { 0, from, 0 }), this.tf.constant(size));
	}

	/** {@code [R, …]} to {@code [count, …]}. */
	private Operand<TFloat32> rows(Operand<TFloat32> values, int from, int count) {
		int rank = values.shape().numDimensions();
		int[] begin = new int[rank];
		int[] size = new int[rank];
		begin[0] = from;
		size[0] = count;
		for (int axis = 1; axis < rank; axis++) {
			size[axis] = (int) values.shape().get(axis);
		}
		return this.tf.slice(values, this.tf.constant(begin), this.tf.constant(size));
	}

}

package io.calm.training;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;

import io.calm.graph.Network;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.Variable;
import io.calm.graph.Variables;
import io.calm.model.BackboneLayer;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.math.Add;
import org.tensorflow.types.TFloat32;
import org.tensorflow.types.TInt32;
import org.tensorflow.types.family.TNumber;

/**
 * The mean loss of a model whose head predicts each position from the backbone's hidden
 * state of the one before it, over all positions that can be predicted. A position is a
 * patch, or a token of the baseline. The gradients are put together from parts so that a
 * step needs little memory:
 * <ul>
 * <li>Positions do not meet in the head. Each part of its loss runs forward and backward
 * for some of them at a time: the same arithmetic, small enough for the caches.</li>
 * <li>Of the backbone only the input of each layer is kept; the way back computes what
 * lies inside a layer again (Chen et al., arXiv 1604.06174).</li>
 * </ul>
 */
final class NextPositionObjective {

	private final ProgramBuilder builder;

	private final Network network;

	private final Ops tf;

	private final Map<String, Operand<TFloat32>> gradients = new HashMap<>();

	private NextPositionObjective(ProgramBuilder builder) {
		this.builder = builder;
		this.network = builder.network();
		this.tf = this.network.tf();
	}

	/**
	 * A model on its sequences.
	 *
	 * @param embedded {@code [B·P, d]}
	 * @param embedding selects the parameters of the embedding
	 * @param layers of the backbone
	 * @param parts of the loss
	 */
	record Model(Operand<TFloat32> embedded, Predicate<String> embedding, List<BackboneLayer> layers,
			List<Part> parts) {
	}

	/**
	 * A part of the loss.
	 *
	 * @param parameters selects the parameters that no other part and no layer has
	 * @param every the part is computed for one of so many sequences, and counts so much
	 * more there; a divisor of B
	 * @param rows positions that are computed together
	 * @param loss of the positions of these sequences
	 */
	record Part(Predicate<String> parameters, int every, int rows, HeadLoss loss) {
	}

	/** The loss of some positions that follow one another. */
	interface HeadLoss {

		/**
		 * Builds it.
		 * @param hidden {@code [rows, d]}, of the positions before
		 * @param from the first of all positions that the part is computed for
		 * @param earlier operations that have to run first
		 * @return {@code [rows]}
		 */
		Operand<TFloat32> of(Operand<TFloat32> hidden, int from, List<Op> earlier);

	}

	static TrainingProgram.Objective of(ProgramBuilder builder, Sequences sequences, Model model) {
		return new NextPositionObjective(builder).build(sequences, model);
	}

	private TrainingProgram.Objective build(Sequences sequences, Model model) {
		int batch = (int) sequences.documents().shape().get(0);
		int positions = (int) sequences.documents().shape().get(1);

		List<BackboneLayer> layers = model.layers();
		List<Operand<TFloat32>> states = new ArrayList<>(List.of(model.embedded()));
		layers.forEach((layer) -> states.add(layer.function().apply(states.get(states.size() - 1))));
		Operand<TFloat32> hidden = states.get(layers.size()); // [B·P, d], or wider
		int outputs = (int) hidden.shape().get(1);

		// the hidden state of position i predicts position i + 1
		Operand<TFloat32> before = reshape(this.tf,
				span(this.tf, reshape(this.tf, hidden, batch, positions, outputs), 0), batch * (positions - 1),
				outputs);
		Operand<TFloat32> weights = weights(sequences);
		List<Operand<TFloat32>> losses = new ArrayList<>();
		Operand<TFloat32> gradient = null;
		List<Op> previous = List.of();
		for (Part part : model.parts()) {
			Operand<TFloat32> some = sequences(this.tf, before, batch, part.every());
			Operand<TFloat32> counts = sequences(this.tf, weights, batch, part.every());
			Operand<TFloat32> ofPart = part(some, part,
					this.tf.math.mul(counts, this.tf.constant((float) part.every())), previous, losses);
			Operand<TFloat32> ofAll = this.builder.gradientsThrough(some, ofPart, List.of(before)).get(0);
			gradient = (gradient == null) ? ofAll : this.tf.math.add(gradient, ofAll);
			previous = List.of(gradient);
		}
		gradient = this.builder.gradientsThrough(before, Objects.requireNonNull(gradient), List.of(hidden)).get(0);
		for (int i = layers.size() - 1; i >= 0; i--) {
			// computed again, and not before it is needed
			Operand<TFloat32> input = this.tf.withControlDependencies(this.tf.identity(gradient))
				.identity(states.get(i));
			BackboneLayer layer = layers.get(i);
			gradient = back(layer.function().apply(input), gradient, (name) -> name.startsWith(layer.prefix()),
					List.of(input))
				.get(0);
		}
		back(states.get(0), gradient, model.embedding(), List.of());
		return new TrainingProgram.Objective((losses.size() == 1) ? losses.get(0) : this.tf.math.addN(losses),
				(parameters) -> parameters.stream()
					.map((parameter) -> Objects.requireNonNull(this.gradients.get(parameter.name()), parameter.name()))
					.toList(),
				Map.of());
	}

	/**
	 * A part of the loss, forward and backward, some positions at a time.
	 * @param hidden {@code [count, d]}
	 * @param weights {@code [count]}, what each position counts
	 * @param earlier operations that have to run first
	 * @param losses takes the parts of the mean loss
	 * @return the gradient of the hidden states {@code [count, d]}
	 */
	private Operand<TFloat32> part(Operand<TFloat32> hidden, Part part, Operand<TFloat32> weights, List<Op> earlier,
			List<Operand<TFloat32>> losses) {
		List<Variable> parameters = learning(part.parameters());
		List<Operand<TFloat32>> hiddenGradients = new ArrayList<>();
		int count = (int) hidden.shape().get(0);
		List<Op> previous = earlier;
		for (int from = 0; from < count; from += part.rows()) {
			int rows = Math.min(part.rows(), count - from);
			Operand<TFloat32> some = this.tf.withControlDependencies(previous)
				.identity(rows(this.tf, hidden, from, rows));
			Operand<TFloat32> each = part.loss().of(some, from, previous); // [rows]
			Operand<TFloat32> loss = this.tf.sum(this.tf.math.mul(each, rows(this.tf, weights, from, rows)),
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
			previous = sums.isEmpty() ? List.of(hiddenGradients.get(hiddenGradients.size() - 1)) : sums;
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
		List<Variable> parameters = learning(own);
		List<Operand<TFloat32>> with = new ArrayList<>(Variables.values(parameters));
		with.addAll(inputs);
		if (with.isEmpty()) {
			return with;
		}
		List<Operand<TFloat32>> parts = this.builder.gradientsThrough(output, gradient, with);
		for (int i = 0; i < parameters.size(); i++) {
			this.gradients.put(parameters.get(i).name(), parts.get(i));
		}
		return parts.subList(parameters.size(), parts.size());
	}

	private List<Variable> learning(Predicate<String> of) {
		return this.network.variables().select(of).stream().filter(this.network::learns).toList();
	}

	/**
	 * What each position but the first of a sequence counts in the mean. It is a target
	 * if it is to be learned and the position before it is of the same document: PAD and
	 * prompts are no targets, and the beginning of a document cannot be known.
	 */
	private Operand<TFloat32> weights(Sequences sequences) {
		int batch = (int) sequences.documents().shape().get(0);
		int positions = (int) sequences.documents().shape().get(1);
		Operand<TInt32> documents = reshape(this.tf, sequences.documents(), batch, positions, 1);
		Operand<TInt32> before = span(this.tf, documents, 0);
		Operand<TInt32> next = span(this.tf, documents, 1);
		Operand<TFloat32> counted = this.tf.dtypes
			.cast(span(this.tf, reshape(this.tf, sequences.counted(), batch, positions, 1), 1), TFloat32.class);
		Operand<TFloat32> same = this.tf.dtypes.cast(this.tf.math.equal(before, next), TFloat32.class);
		Operand<TFloat32> real = this.tf.dtypes.cast(this.tf.math.notEqual(next, this.tf.constant(0)), TFloat32.class);
		Operand<TFloat32> targets = reshape(this.tf, this.tf.math.mul(this.tf.math.mul(same, real), counted),
				batch * (positions - 1));
		Operand<TFloat32> count = this.tf.math.maximum(this.tf.sum(targets, this.tf.constant(0)), this.tf.constant(1f));
		return this.tf.math.div(targets, count);
	}

	/**
	 * The positions that are predicted: all but the first of each sequence.
	 * @param tf where to build it
	 * @param sequences what there is
	 * @param every of so many sequences one
	 * @return {@code [B / every·(P − 1), K]}
	 */
	static Operand<TInt32> predicted(Ops tf, Sequences sequences, int every) {
		int batch = (int) sequences.documents().shape().get(0);
		int positions = (int) sequences.documents().shape().get(1);
		int size = (int) sequences.tokens().shape().get(1);
		Operand<TInt32> next = reshape(tf, span(tf, reshape(tf, sequences.tokens(), batch, positions, size), 1),
				batch * (positions - 1), size);
		return sequences(tf, next, batch, every);
	}

	/**
	 * The first one of every so many sequences.
	 * @param values {@code [B·n, …]}
	 * @return {@code [B / every·n, …]}
	 */
	private static <T extends TNumber> Operand<T> sequences(Ops tf, Operand<T> values, int batch, int every) {
		if (every == 1) {
			return values;
		}
		int rows = (int) values.shape().get(0);
		int width = (values.shape().numDimensions() > 1) ? (int) values.shape().get(1) : 1;
		Operand<T> some = tf.slice(reshape(tf, values, batch / every, every, rows / batch * width),
				tf.constant(new int[] { 0, 0, 0 }), tf.constant(new int[] { batch / every, 1, rows / batch * width }));
		return (values.shape().numDimensions() > 1) ? reshape(tf, some, rows / every, width)
				: reshape(tf, some, rows / every);
	}

	/** {@code [R, …]} to {@code [count, …]}. */
	static <T extends TNumber> Operand<T> rows(Ops tf, Operand<T> values, int from, int count) {
		int rank = values.shape().numDimensions();
		int[] begin = new int[rank];
		int[] size = new int[rank];
		begin[0] = from;
		size[0] = count;
		for (int axis = 1; axis < rank; axis++) {
			size[axis] = (int) values.shape().get(axis);
		}
		return tf.slice(values, tf.constant(begin), tf.constant(size));
	}

	private static <T extends TNumber> Operand<T> reshape(Ops tf, Operand<T> values, int... shape) {
		return tf.reshape(values, tf.constant(shape));
	}

	/** {@code [B, P, n]} to {@code [B, P − 1, n]}, from a position on. */
	private static <T extends TNumber> Operand<T> span(Ops tf, Operand<T> sequences, int from) {
		int[] size = { (int) sequences.shape().get(0), (int) sequences.shape().get(1) - 1,
				(int) sequences.shape().get(2) };
		return tf.slice(sequences, tf.constant(new int[] { 0, from, 0 }), tf.constant(size));
	}

}

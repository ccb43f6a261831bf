package io.calm.training;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

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
 * be predicted.
 *
 * <p>
 * The head computes N samples per patch and so holds most of a step's memory. Patches do
 * not meet in it, so it runs forward and backward for some of them at a time: the same
 * arithmetic, a fraction of the memory, and small enough for the caches. The backbone's
 * gradient follows from that of the hidden states.
 */
final class NextPatchObjective {

	/** Rows of the head, patches times samples, that are computed together. */
	private static final int ROWS = 1024;

	private NextPatchObjective() {
	}

	static TrainingProgram.Objective of(ProgramBuilder builder, CalmConfig config, AutoencoderConfig autoencoder,
			Operand<TInt32> tokens, Operand<TInt32> documents, Draws draws) {
		Network network = builder.network();
		Ops tf = network.tf();
		CalmNetwork calm = new CalmNetwork(network, config, autoencoder);
		int batch = (int) documents.shape().get(0);
		int patches = (int) documents.shape().get(1);
		int width = config.backbone().hiddenSize();
		int size = config.patchSize();
		int count = batch * (patches - 1);
		Operand<TFloat32> hidden = calm.hiddenStates(tokens, documents); // [B·P, d]
		// the hidden state of patch i predicts patch i + 1
		Operand<TFloat32> before = reshape(tf, span(tf, reshape(tf, hidden, batch, patches, width), 0, patches - 1),
				count, width);
		Operand<TInt32> next = reshape(tf, span(tf, reshape(tf, tokens, batch, patches, size), 1, patches - 1), count,
				size);
		Posterior posterior = calm.posterior(next);
		Operand<TFloat32> weights = weights(tf, documents); // [count]

		List<Variable> headParameters = network.variables().select(CalmNetwork::isHeadParameter);
		List<Operand<TFloat32>> losses = new ArrayList<>();
		List<Operand<TFloat32>> hiddenGradients = new ArrayList<>();
		List<Operand<TFloat32>> headGradients = new ArrayList<>(Variables.values(headParameters));
		List<Op> previous = List.of();
		int step = Math.max(1, ROWS / config.head().samples());
		for (int from = 0; from < count; from += step) {
			int rows = Math.min(step, count - from);
			Ops then = tf.withControlDependencies(previous);
			Operand<TFloat32> some = then.identity(rows(tf, before, from, rows));
			Posterior target = new Posterior(rows(tf, posterior.mean(), from, rows),
					rows(tf, posterior.logDeviation(), from, rows));
			Operand<TFloat32> each = calm.head().loss(some, target, draws.after(previous)); // [rows]
			Operand<TFloat32> loss = tf.sum(tf.math.mul(each, rows(tf, weights, from, rows)), tf.constant(0));
			losses.add(loss);
			List<Operand<TFloat32>> with = new ArrayList<>(Variables.values(headParameters));
			with.add(some);
			List<Operand<TFloat32>> gradients = builder.gradients(loss, with);
			hiddenGradients.add(gradients.get(headParameters.size()));
			// summed as they come, so that only the sum has to be kept
			List<Op> sums = new ArrayList<>();
			for (int i = 0; i < headParameters.size(); i++) {
				Add<TFloat32> sum = tf.math.add((from == 0) ? tf.constant(0f) : headGradients.get(i), gradients.get(i));
				sums.add(sum);
				headGradients.set(i, sum);
			}
			previous = sums;
		}
		Operand<TFloat32> hiddenGradient = tf.concat(hiddenGradients, tf.constant(0)); // [count,
																						// d]
		return new TrainingProgram.Objective(tf.math.addN(losses), (parameters) -> {
			List<Variable> others = parameters.stream()
				.filter((parameter) -> !headParameters.contains(parameter))
				.toList();
			List<Operand<TFloat32>> otherGradients = builder.gradientsThrough(before, hiddenGradient,
					Variables.values(others));
			return parameters.stream()
				.map((parameter) -> headParameters.contains(parameter)
						? headGradients.get(headParameters.indexOf(parameter))
						: otherGradients.get(others.indexOf(parameter)))
				.toList();
		}, Map.of());
	}

	/**
	 * What each patch but the first of a sequence counts in the mean. It is a target if
	 * the patch before it is of the same document: PAD is no target, and the beginning of
	 * a document cannot be known.
	 */
	private static Operand<TFloat32> weights(Ops tf, Operand<TInt32> documents) {
		int batch = (int) documents.shape().get(0);
		int patches = (int) documents.shape().get(1);
		Operand<TInt32> sequences = reshape(tf, documents, batch, patches, 1);
		Operand<TInt32> before = span(tf, sequences, 0, patches - 1);
		Operand<TInt32> next = span(tf, sequences, 1, patches - 1);
		Operand<TFloat32> same = tf.dtypes.cast(tf.math.equal(before, next), TFloat32.class);
		Operand<TFloat32> real = tf.dtypes.cast(tf.math.notEqual(next, tf.constant(0)), TFloat32.class);
		Operand<TFloat32> targets = reshape(tf, tf.math.mul(same, real), batch * (patches - 1));
		Operand<TFloat32> count = tf.math.maximum(tf.sum(targets, tf.constant(0)), tf.constant(1f));
		return tf.math.div(targets, count);
	}

	private static <T extends TNumber> Operand<T> reshape(Ops tf, Operand<T> values, int... shape) {
		return tf.reshape(values, tf.constant(shape));
	}

	/** {@code [B, P, n]} to {@code [B, count, n]}. */
	private static <T extends TNumber> Operand<T> span(Ops tf, Operand<T> sequences, int from, int count) {
		int[] size = { (int) sequences.shape().get(0), count, (int) sequences.shape().get(2) };
		return tf.slice(sequences, tf.constant(new int[] { 0, from, 0 }), tf.constant(size));
	}

	/** {@code [R, …]} to {@code [count, …]}. */
	private static Operand<TFloat32> rows(Ops tf, Operand<TFloat32> values, int from, int count) {
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

}

package io.calm.training;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Predicate;

import io.calm.graph.Initializer;
import io.calm.graph.Input;
import io.calm.graph.Network;
import io.calm.graph.ProgramBuilder;
import io.calm.graph.Variable;
import org.tensorflow.Operand;
import org.tensorflow.op.Op;
import org.tensorflow.op.Ops;
import org.tensorflow.op.math.Mul;
import org.tensorflow.types.TFloat32;

/**
 * AdamW (Loshchilov and Hutter, arXiv 1711.05101) as PyTorch computes it: gradients
 * clipped by their global norm, decay decoupled and on matrices only.
 */
public final class AdamW {

	/** The prefix of the first moments. */
	public static final String FIRST_MOMENT = "adamw.m.";

	/** The prefix of the second moments. */
	public static final String SECOND_MOMENT = "adamw.v.";

	private final OptimizerConfig config;

	private final Ops tf;

	private final Network network;

	private final Predicate<String> slower;

	private final Input<TFloat32, float[]> schedule;

	/**
	 * Declares the optimiser's moments and what else it remembers.
	 * @param builder of the program
	 * @param config its constants
	 */
	public AdamW(ProgramBuilder builder, OptimizerConfig config) {
		this(builder, config, (name) -> false);
	}

	/**
	 * Declares the optimiser's moments and what else it remembers.
	 * @param builder of the program
	 * @param config its constants
	 * @param slower selects parameters with a learning rate of their own; while that is
	 * 0, their gradients do not count in the norm
	 */
	AdamW(ProgramBuilder builder, OptimizerConfig config, Predicate<String> slower) {
		this.config = config;
		this.slower = slower;
		this.network = builder.network();
		this.tf = this.network.tf();
		this.schedule = builder.floats(4);
	}

	/**
	 * Where to feed what changes from step to step.
	 * @return the input of {@link #schedule(double, long)}
	 */
	public Input<TFloat32, float[]> schedule() {
		return this.schedule;
	}

	/**
	 * What to feed at a step.
	 * @param learningRate of the step
	 * @param step counted from 1
	 * @return the values
	 */
	public float[] schedule(double learningRate, long step) {
		return schedule(learningRate, learningRate, step);
	}

	float[] schedule(double learningRate, double slowerRate, long step) {
		return new float[] { (float) learningRate, (float) Math.pow(this.config.beta1(), step),
				(float) Math.pow(this.config.beta2(), step), (float) slowerRate };
	}

	/**
	 * The squared norm of each gradient.
	 * @param gradients of all parameters
	 * @return {@code [gradients]}
	 */
	public Operand<TFloat32> squaredNorms(List<Operand<TFloat32>> gradients) {
		List<Operand<TFloat32>> halves = new ArrayList<>();
		gradients.forEach((gradient) -> halves.add(this.tf.nn.l2Loss(gradient)));
		return this.tf.math.mul(this.tf.stack(halves), this.tf.constant(2f));
	}

	/**
	 * Builds one update of all parameters.
	 * @param parameters to change
	 * @param gradients of each
	 * @param squaredNorms of each gradient
	 * @return the operations that change parameters and moments
	 */
	public List<Op> step(List<Variable> parameters, List<Operand<TFloat32>> gradients, Operand<TFloat32> squaredNorms) {
		Operand<TFloat32> norm = this.tf.math.sqrt(this.tf.sum(moving(parameters, squaredNorms), this.tf.constant(0)));
		Operand<TFloat32> clip = this.tf.math.minimum(this.tf.math.div(this.tf.constant((float) this.config.clipNorm()),
				this.tf.math.add(norm, this.tf.constant(1e-6f))), this.tf.constant(1f));
		Operand<TFloat32> beta1Power = scheduled(1);
		Operand<TFloat32> beta2Power = scheduled(2);
		// TensorFlow adds ε before the bias correction of the second moment, PyTorch
		// after
		Operand<TFloat32> epsilon = this.tf.math.mul(this.tf.constant((float) this.config.epsilon()),
				this.tf.math.sqrt(this.tf.math.sub(this.tf.constant(1f), beta2Power)));
		Rate usual = rate(0);
		Rate slow = rate(3);

		// the norm depends on all gradients, and so does everything that changes a
		// parameter;
		// one parameter after the other, so that only one needs room for what lies
		// between
		List<Op> operations = new ArrayList<>();
		Ops ready = this.tf;
		for (int i = 0; i < parameters.size(); i++) {
			Variable parameter = parameters.get(i);
			Rate rate = this.slower.test(parameter.name()) ? slow : usual;
			Mul<TFloat32> gradient = ready.math.mul(gradients.get(i), clip);
			Ops then = this.tf.withControlDependencies(gradient);
			if (parameter.shape().length > 1) {
				Op decayed = then.assignSubVariableOp(parameter.handle(),
						then.math.mul(parameter.value(), rate.decay()));
				then = this.tf.withControlDependencies(decayed);
			}
			Op updated = then.train.resourceApplyAdam(parameter.handle(), moment(FIRST_MOMENT, parameter).handle(),
					moment(SECOND_MOMENT, parameter).handle(), beta1Power, beta2Power, rate.learning(),
					this.tf.constant((float) this.config.beta1()), this.tf.constant((float) this.config.beta2()),
					epsilon, gradient);
			operations.add(updated);
			ready = this.tf.withControlDependencies(updated);
		}
		return operations;
	}

	/** The squared norms of the parameters that change. */
	private Operand<TFloat32> moving(List<Variable> parameters, Operand<TFloat32> squaredNorms) {
		if (parameters.stream().noneMatch((parameter) -> this.slower.test(parameter.name()))) {
			return squaredNorms;
		}
		Operand<TFloat32> moves = this.tf.math.sign(scheduled(3));
		List<Operand<TFloat32>> counted = new ArrayList<>();
		parameters
			.forEach((parameter) -> counted.add(this.slower.test(parameter.name()) ? moves : this.tf.constant(1f)));
		return this.tf.math.mul(squaredNorms, this.tf.stack(counted));
	}

	/** The learning rate of some parameters, and what their matrices lose with it. */
	private record Rate(Operand<TFloat32> learning, Operand<TFloat32> decay) {
	}

	private Rate rate(int index) {
		Operand<TFloat32> learning = scheduled(index);
		return new Rate(learning, this.tf.math.mul(learning, this.tf.constant((float) this.config.weightDecay())));
	}

	private Variable moment(String prefix, Variable parameter) {
		return this.network.variables().declare(prefix + parameter.name(), Initializer.ZEROS, parameter.shape());
	}

	private Operand<TFloat32> scheduled(int index) {
		return this.tf.reshape(this.tf.slice(this.schedule.value(), this.tf.constant(new int[] { index }),
				this.tf.constant(new int[] { 1 })), this.tf.constant(new int[0]));
	}

}

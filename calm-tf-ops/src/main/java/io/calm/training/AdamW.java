package io.calm.training;

import java.util.ArrayList;
import java.util.List;

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

	private final Input<TFloat32, float[]> schedule;

	/**
	 * Declares the optimiser's moments and what else it remembers.
	 * @param builder of the program
	 * @param config its constants
	 */
	public AdamW(ProgramBuilder builder, OptimizerConfig config) {
		this.config = config;
		this.network = builder.network();
		this.tf = this.network.tf();
		this.schedule = builder.floats(3);
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
		return new float[] { (float) learningRate, (float) Math.pow(this.config.beta1(), step),
				(float) Math.pow(this.config.beta2(), step) };
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
		Operand<TFloat32> norm = this.tf.math.sqrt(this.tf.sum(squaredNorms, this.tf.constant(0)));
		Operand<TFloat32> clip = this.tf.math.minimum(this.tf.math.div(this.tf.constant((float) this.config.clipNorm()),
				this.tf.math.add(norm, this.tf.constant(1e-6f))), this.tf.constant(1f));
		Operand<TFloat32> learningRate = scheduled(0);
		Operand<TFloat32> beta1Power = scheduled(1);
		Operand<TFloat32> beta2Power = scheduled(2);
		// TensorFlow adds ε before the bias correction of the second moment, PyTorch
		// after
		Operand<TFloat32> epsilon = this.tf.math.mul(this.tf.constant((float) this.config.epsilon()),
				this.tf.math.sqrt(this.tf.math.sub(this.tf.constant(1f), beta2Power)));
		Operand<TFloat32> decay = this.tf.math.mul(learningRate, this.tf.constant((float) this.config.weightDecay()));

		// the norm depends on all gradients, and so does everything that changes a
		// parameter;
		// one parameter after the other, so that only one needs room for what lies
		// between
		List<Op> operations = new ArrayList<>();
		Ops ready = this.tf;
		for (int i = 0; i < parameters.size(); i++) {
			Variable parameter = parameters.get(i);
			Mul<TFloat32> gradient = ready.math.mul(gradients.get(i), clip);
			Ops then = this.tf.withControlDependencies(gradient);
			if (parameter.shape().length > 1) {
				Op decayed = then.assignSubVariableOp(parameter.handle(), then.math.mul(parameter.value(), decay));
				then = this.tf.withControlDependencies(decayed);
			}
			Op updated = then.train.resourceApplyAdam(parameter.handle(), moment(FIRST_MOMENT, parameter).handle(),
					moment(SECOND_MOMENT, parameter).handle(), beta1Power, beta2Power, learningRate,
					this.tf.constant((float) this.config.beta1()), this.tf.constant((float) this.config.beta2()),
					epsilon, gradient);
			operations.add(updated);
			ready = this.tf.withControlDependencies(updated);
		}
		return operations;
	}

	private Variable moment(String prefix, Variable parameter) {
		return this.network.variables().declare(prefix + parameter.name(), Initializer.ZEROS, parameter.shape());
	}

	private Operand<TFloat32> scheduled(int index) {
		return this.tf.reshape(this.tf.slice(this.schedule.value(), this.tf.constant(new int[] { index }),
				this.tf.constant(new int[] { 1 })), this.tf.constant(new int[0]));
	}

}

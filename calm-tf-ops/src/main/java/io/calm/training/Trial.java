package io.calm.training;

import java.util.Arrays;
import java.util.Map;

import io.calm.graph.Variable;
import io.calm.text.TokenBlocks;

/**
 * What a phase of a training will cost, measured with a few of its steps.
 *
 * @param phase {@code autoencoder}, {@code language-model} or {@code baseline}
 * @param configuration of the model, as its file would say it
 * @param parameters how many numbers are trained
 * @param stateBytes memory of weights, gradients, moments and averages; activations come
 * on top of it
 * @param steps of the whole phase, unless patience ends it before
 * @param stepsPerEpoch steps that see all the text once
 * @param firstStepSeconds the time of the first step, in which a program may be compiled
 * @param secondsPerStep the median time of the steps after it
 */
public record Trial(String phase, Map<String, Object> configuration, long parameters, long stateBytes, long steps,
		double stepsPerEpoch, double firstStepSeconds, double secondsPerStep) {

	private static final int MEASURED = 3;

	static Trial of(String phase, Map<String, Object> configuration, TrainingProgram training, TokenBlocks blocks,
			TrainingOptions options) {
		double[] seconds = new double[1 + MEASURED];
		for (int step = 1; step <= seconds.length; step++) {
			seconds[step - 1] = training.step(phase, step, TrainingLoop.batches(blocks, options, step)).milliseconds()
					/ 1e3;
		}
		double[] measured = Arrays.copyOfRange(seconds, 1, seconds.length);
		Arrays.sort(measured);
		long trained = training.parameters().stream().mapToLong(Variable::size).sum();
		long all = training.program().variables((name) -> true).stream().mapToLong(Variable::size).sum();
		// the gradients are no variables
		return new Trial(phase, configuration, trained, Float.BYTES * (all + trained), options.steps(),
				(double) blocks.blocks() / ((long) options.batch() * options.accumulation()), seconds[0],
				measured[MEASURED / 2]);
	}

	/**
	 * How long the whole phase will take, without evaluations and checkpoints.
	 * @return seconds
	 */
	public double seconds() {
		return this.firstStepSeconds + (this.steps - 1) * this.secondsPerStep;
	}

}

package io.calm.training;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;

import io.calm.graph.Variable;
import io.calm.text.TokenBlocks;

/**
 * What a phase of a training will cost, measured with a few of its steps.
 *
 * @param phase what is trained
 * @param configuration of the model, as its file would say it
 * @param parameters how many numbers are trained
 * @param stateBytes memory of weights, gradients, moments and averages; activations come
 * on top of it
 * @param steps of the whole phase, unless patience ends it before
 * @param stepsPerEpoch steps that see all the text once
 * @param stepSeconds the time of each step that was done
 */
public record Trial(Phase phase, Map<String, Object> configuration, long parameters, long stateBytes, long steps,
		double stepsPerEpoch, List<Double> stepSeconds) {

	static Trial of(Trainable model, TrainingProgram training, TokenBlocks blocks, TrainingOptions options, int steps) {
		List<Double> seconds = new ArrayList<>();
		for (int step = 1; step <= steps; step++) {
			StepMetrics metrics = training.step(model.phase(), step, training.share().of(blocks, step));
			seconds.add(metrics.milliseconds() / 1e3);
		}
		long trained = training.parameters().stream().mapToLong(Variable::size).sum();
		long all = training.program().variables((name) -> true).stream().mapToLong(Variable::size).sum();
		// the gradients are no variables
		return new Trial(model.phase(), model.configuration(), trained, Float.BYTES * (all + trained), options.steps(),
				(double) blocks.blocks() / ((long) options.batch() * options.accumulation()), List.copyOf(seconds));
	}

	/**
	 * The time of the first step, in which a program may be compiled.
	 * @return seconds
	 */
	public double firstStepSeconds() {
		return this.stepSeconds.get(0);
	}

	/**
	 * The median time of the steps after the first.
	 * @return seconds
	 */
	public double secondsPerStep() {
		List<Double> measured = this.stepSeconds.stream().skip(1).sorted().toList();
		return measured.get(measured.size() / 2);
	}

	/**
	 * How long the whole phase will take, without evaluations and checkpoints.
	 * @return seconds
	 */
	public double seconds() {
		return firstStepSeconds() + (this.steps - 1) * secondsPerStep();
	}

}

package io.calm.training;

import java.util.LinkedHashMap;
import java.util.Map;

/**
 * What is known after a step.
 *
 * @param phase what is trained
 * @param step counted from 1
 * @param steps in all
 * @param loss the mean over the step's micro-batches
 * @param learningRate of the step
 * @param gradientNorm before clipping
 * @param milliseconds the step took
 * @param tokensPerSecond of the step, PAD included
 * @param more further metrics, by name: those of the objective and, from step 100 on,
 * {@code flops_utilisation}, the step's matrix products as a share of what this machine
 * can do
 */
public record StepMetrics(Phase phase, long step, long steps, double loss, double learningRate, double gradientNorm,
		double milliseconds, double tokensPerSecond, Map<String, Double> more) {

	/** The same with one metric more. */
	StepMetrics with(String name, double value) {
		Map<String, Double> all = new LinkedHashMap<>(this.more);
		all.put(name, value);
		return new StepMetrics(this.phase, this.step, this.steps, this.loss, this.learningRate, this.gradientNorm,
				this.milliseconds, this.tokensPerSecond, all);
	}

}

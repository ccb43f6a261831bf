package io.calm.training;

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
 * @param more further metrics of the objective, by name
 */
public record StepMetrics(Phase phase, long step, long steps, double loss, double learningRate, double gradientNorm,
		double milliseconds, double tokensPerSecond, Map<String, Double> more) {
}

package io.calm.training;

import java.nio.file.Path;
import java.util.Map;

import org.jspecify.annotations.Nullable;

/**
 * What begins, or goes on, when a phase of a training starts.
 *
 * @param phase what is trained
 * @param firstStep 1, or the one after the checkpoint that is resumed
 * @param steps the last one, unless patience ends the phase before it
 * @param settings the model's configuration and the options, by name
 * @param dataDigest tells the tokens that are trained on from others
 * @param directory of the checkpoints, absolute
 * @param base the directory of the model whose weights the phase begins with; null for
 * random ones
 */
public record TrainingStart(Phase phase, long firstStep, long steps, Map<String, Object> settings, String dataDigest,
		Path directory, @Nullable Path base) {
}

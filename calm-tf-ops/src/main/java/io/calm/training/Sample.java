package io.calm.training;

/**
 * A text by a model in training.
 *
 * @param prompt its beginning, which was given
 * @param text how the model goes on
 */
public record Sample(String prompt, String text) {
}

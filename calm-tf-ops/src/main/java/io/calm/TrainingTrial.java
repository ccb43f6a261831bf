package io.calm;

import java.util.List;

import io.calm.training.Trial;

/**
 * What a training will cost.
 *
 * @param documents how many there are to train on
 * @param tokens in them, BOS and EOS included
 * @param phases of the training, in their order
 */
public record TrainingTrial(long documents, long tokens, List<Trial> phases) {
}

package io.calm.training;

import org.tensorflow.Operand;
import org.tensorflow.types.TInt32;

/**
 * What an objective is computed on: a {@link io.calm.text.TokenBatch} in a graph.
 *
 * @param tokens {@code [B·P, K]}
 * @param documents {@code [B, P]}, the number of each patch's document, 0 for PAD
 * @param counted {@code [B, P]}, 1 for patches that are learned, 0 for given ones
 */
record Sequences(Operand<TInt32> tokens, Operand<TInt32> documents, Operand<TInt32> counted) {
}

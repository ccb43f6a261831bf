package io.calm.model;

import java.util.function.UnaryOperator;

import org.tensorflow.Operand;
import org.tensorflow.types.TFloat32;

/**
 * A layer of a backbone, for those who go through it step by step.
 *
 * @param prefix of its parameters' names
 * @param function from {@code [B·P, d]} to {@code [B·P, d]}; can be built several times
 */
public record BackboneLayer(String prefix, UnaryOperator<Operand<TFloat32>> function) {
}

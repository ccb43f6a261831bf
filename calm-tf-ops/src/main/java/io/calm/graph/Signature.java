package io.calm.graph;

import java.util.Map;

import org.tensorflow.Operand;
import org.tensorflow.types.family.TType;

/**
 * Something that a SavedModel computes, by the names of what goes in and comes out.
 *
 * @param name of the signature
 * @param inputs placeholders by name
 * @param outputs what is computed of them, by name
 */
public record Signature(String name, Map<String, Operand<? extends TType>> inputs,
		Map<String, Operand<? extends TType>> outputs) {
}

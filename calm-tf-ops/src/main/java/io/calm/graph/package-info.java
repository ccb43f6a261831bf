/**
 * TensorFlow plumbing: variables by name, compiled entry points, devices, precision,
 * gradients. Nothing here knows what a language model is.
 */
@NullMarked
package io.calm.graph;

import org.jspecify.annotations.NullMarked;

/**
 * What callers and the service say to each other: the messages, their form on the wire,
 * and the headers beside them. Needs neither a model nor TensorFlow.
 */
@NullMarked
package io.calm.streaming;

import org.jspecify.annotations.NullMarked;

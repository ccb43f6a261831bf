/**
 * Several workers that train one model: {@code TF_CONFIG}, TensorFlow's own distributed
 * runtime, and sums over all of them.
 */
@NullMarked
package io.calm.cluster;

import org.jspecify.annotations.NullMarked;

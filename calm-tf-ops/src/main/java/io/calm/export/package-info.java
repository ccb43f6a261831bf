/**
 * Models for others than this library: TensorFlow's own format.
 */
@NullMarked
package io.calm.export;

import org.jspecify.annotations.NullMarked;

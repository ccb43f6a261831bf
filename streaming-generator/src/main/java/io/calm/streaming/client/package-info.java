/**
 * The client of the service. Needs neither a model nor TensorFlow nor Spring.
 */
@NullMarked
package io.calm.streaming.client;

import org.jspecify.annotations.NullMarked;

/**
 * Products in, stories out: a pipeline over Kafka, and a web page that shows texts patch
 * by patch while they are written.
 */
@NullMarked
package io.calm.examples.pipeline;

import org.jspecify.annotations.NullMarked;

/**
 * The quickstart: a corpus that the project generates itself, a model trained on it in
 * minutes.
 */
@NullMarked
package io.calm.examples.quickstart;

import org.jspecify.annotations.NullMarked;

/**
 * Generation of text, patch by patch.
 */
@NullMarked
package io.calm.generation;

import org.jspecify.annotations.NullMarked;
